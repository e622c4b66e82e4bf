from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from tests.cli.commands import Command
from tests.support import Project

from bentoml.builder.build_file.json_schema import bentofile_schema, pyproject_schema
from bentoml.builder.scaffold import TEMPLATES


def test_schema_prints_what_editors_read(bentoml: Command) -> None:
    assert json.loads(bentoml("schema").out) == bentofile_schema()
    assert json.loads(bentoml("schema", "--pyproject").out) == pyproject_schema()


def test_init_says_what_it_wrote_and_what_comes_next(bentoml: Command, tmp_path: Path) -> None:
    done = bentoml("init", str(tmp_path / "a" / "iris"), "--template", "sklearn")
    assert done.code == 0
    assert sorted(done.lines) == sorted(str(path) for path in (tmp_path / "a" / "iris").iterdir())
    assert (
        done.err
        == f"Next: `cd {tmp_path / 'a' / 'iris'}`, `python train.py`, `bentoml serve`, `bentoml build`\n"
    )
    assert 'name: "iris"' in (tmp_path / "a" / "iris" / "bentofile.yaml").read_text()


def test_init_refuses_a_second_time_and_wrong_usage(bentoml: Command, tmp_path: Path) -> None:
    assert bentoml("init", str(tmp_path / "x"), "--name", "flowers").code == 0
    again = bentoml("init", str(tmp_path / "x"))
    assert again.code == 1
    assert again.err.startswith("Error: [bentoml-cli] `init` failed: ") and "`README.md`" in again.err
    assert bentoml("init", str(tmp_path / "y"), "--name", "Bad Name").code == 2
    assert bentoml("init", str(tmp_path / "y"), "--template", "torch").code == 2
    assert not (tmp_path / "y").exists()


def test_check_says_it_to_people_and_programs(bentoml: Command, tmp_path: Path) -> None:
    (tmp_path / "bentofile.yaml").write_text("servcie: x\ndocker: {distro: windows}\n")
    done = bentoml("check", str(tmp_path))
    assert done.code == 1
    assert [line[:22] for line in done.lines] == ["error    configuration"] * 2 + ["note     configuration"]
    assert done.err == "2 errors, 0 warnings\n"
    data = json.loads(bentoml("check", str(tmp_path), "-o", "json").out)
    assert set(data) == {"findings", "files", "size", "largest"}
    assert set(data["findings"][0]) == {"level", "about", "message", "fix"}
    assert bentoml("check", str(tmp_path / "nowhere")).code == 2


def test_check_finds_no_error_in_what_init_writes(bentoml: Command, tmp_path: Path) -> None:
    assert bentoml("init", str(tmp_path / "x"), "-t", "stream").code == 0
    done = bentoml("check", str(tmp_path / "x"))
    assert done.code == 0, done.out
    assert "The bento would hold 2 files" in done.out


ASKED = {
    "plain": ("greet", {"name": "bento"}, "Hello, bento!"),
    "sklearn": ("classify", {"flowers": [[5.1, 3.5, 1.4, 0.2]]}, '["setosa"]'),
    "stream": ("tell", {"name": "Ada"}, "Once upon a time Ada"),
}


@pytest.mark.slow
@pytest.mark.parametrize("template", TEMPLATES)
def test_what_init_writes_passes_its_tests_builds_and_serves(template: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder, tmp_path / "home")
    assert project.bentoml("init", "--template", template).returncode == 0
    if template == "sklearn":
        subprocess.run([sys.executable, "train.py"], cwd=folder, env=project.env, check=True)
    subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=folder, env=project.env, check=True)
    built = project.bentoml("build", "-o", "tag")
    assert built.returncode == 0, built.stderr
    api, arguments, answer = ASKED[template]
    for served in (".", built.stdout.strip().removeprefix("__tag__:")):
        with project.serve(served) as address:
            request = urllib.request.Request(
                f"{address}/{api}",
                json.dumps(arguments).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=120) as response:
                assert response.read().decode().startswith(answer)
