from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from tests.cli.commands import Command

from bentoml.cli._shells import read_commands, script
from bentoml.cli.main import root_table

ROOT = root_table()
SPEC = list(read_commands(typer.Context(ROOT), ROOT))

Complete = Callable[..., list[str]]

CASES = [
    pytest.param("bu", ["build"], id="command"),
    pytest.param("models tr", ["models trust"], id="command of a group"),
    pytest.param("get ", ["get iris", "get iris:v1", "get iris:v2", "get other", "get other:v1", "get iris@prod"], id="tags"),
    pytest.param("get iris:v", ["get iris:v1", "get iris:v2"], id="versions"),
    pytest.param("get iris@", ["get iris@prod"], id="aliases"),
    pytest.param("models get ", ["models get net", "models get net:m1"], id="models"),
    pytest.param("models get -o json ne", ["models get -o json net", "models get -o json net:m1"], id="behind an option"),
    pytest.param("containerize ot", ["containerize other", "containerize other:v1"], id="containerize"),
    pytest.param("list --out", ["list --output"], id="option"),
    pytest.param("list -o ", ["list -o table", "list -o json", "list -o yaml"], id="choices"),
    pytest.param("build --output=t", ["build --output=tag"], id="choice behind an equals sign"),
    pytest.param("completion ", ["completion bash", "completion zsh", "completion fish"], id="shells"),
    pytest.param("build --name x --lab", ["build --name x --label"], id="behind a value"),
    pytest.param("nothing ", [], id="no such command"),
    pytest.param("build --name ", [], id="a value that nobody knows"),
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home"
    for path in (
        "bentos/iris/v1/bento",
        "bentos/iris/v2/bento",
        "bentos/other/v1/bento",
        "models/net/m1/model",
    ):
        file = home / f"{path}.yaml"
        file.parent.mkdir(parents=True)
        file.touch()
    (home / "bentos" / "iris" / "latest").write_text("v2")
    (home / "aliases" / "bentos" / "iris").mkdir(parents=True)
    (home / "aliases" / "bentos" / "iris" / "prod").write_text("v1")
    (home / "aliases" / "bentos" / "iris" / ".prod.log").touch()
    return home


def run(shell: list[str], program: str, home: Path, folder: Path) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "BENTOML_HOME": str(home), "TERM": "dumb"}
    done = subprocess.run([*shell, program], env=env, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def bash(line: str, home: Path, folder: Path) -> list[str]:
    """Return the lines as bash would have them; readline keeps what is before the last of its word breaks, of which it takes `@` for a part of the word."""
    program = script("bash", SPEC) + (
        f"\nCOMP_LINE={shlex.quote(line)} COMP_POINT=${{#COMP_LINE}}\n_bentoml\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    kept = line[: max(line.rfind("@"), *(line.rfind(mark) + 1 for mark in " :="))]
    return [kept + word for word in run(["bash", "-c"], program, home, folder).splitlines() if word]


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_bash(typed: str, completed: list[str], home: Path, tmp_path: Path) -> None:
    assert sorted(set(bash(f"bentoml {typed}", home, tmp_path))) == sorted(f"bentoml {c}" for c in completed)


def test_bash_without_a_store_is_silent(tmp_path: Path) -> None:
    assert bash("bentoml get ", tmp_path / "nowhere", tmp_path) == []


def test_bash_is_quick_with_many_tags(home: Path, tmp_path: Path) -> None:
    for number in range(1000):
        (home / "bentos" / f"name{number}" / "v1").mkdir(parents=True)
        (home / "bentos" / f"name{number}" / "v1" / "bento.yaml").touch()
    before = os.times()
    assert len(bash("bentoml get name", home, tmp_path)) == 2000
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 0.15  # seconds of the processor


def test_every_command_and_option_is_there() -> None:
    names = {command.words for command in SPEC}
    assert {"", "build", "models", "models get", "completion"} <= names
    assert "serve-http" not in names
    for shell in ("bash", "zsh", "fish"):
        text = script(shell, SPEC)
        assert not re.search("@[A-Z]+@", text)
        for one in SPEC:
            assert all(name.lstrip("-") in text for option in one.options for name in option.names)


@pytest.mark.engine
@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_fish(typed: str, completed: list[str], home: Path, tmp_path: Path) -> None:
    assert shutil.which("fish"), "install fish"
    program = script("fish", SPEC) + f"\ncomplete -C {shlex.quote(f'bentoml {typed}')}"
    words = [
        line.split("\t")[0]
        for line in run(["fish", "--no-config", "-c"], program, home, tmp_path).splitlines()
    ]
    kept = f"bentoml {typed}".rpartition(" ")[0]
    assert sorted({f"{kept} {word}" for word in words}) == sorted(f"bentoml {c}" for c in completed)


@pytest.mark.engine
@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_zsh(typed: str, completed: list[str], home: Path, tmp_path: Path) -> None:
    """The functions of zsh's completion are ours here: what is offered is printed, and filtered as zsh does."""
    assert shutil.which("zsh"), "install zsh"
    line = f"bentoml {typed}"
    kept, _, current = line.rpartition(" ")
    words = " ".join(shlex.quote(word) for word in [*kept.split(), current])
    program = (
        'compadd() { shift; print -rl -- "$@"; }\n_files() { :; }\ncompset() { :; }\n'
        + script("zsh", SPEC)
        + f"\nwords=({words}); CURRENT=$#words; _bentoml"
    )
    start = f"{current.partition('=')[0]}=" if "=" in current else ""
    found = {start + word for word in run(["zsh", "-f", "-c"], program, home, tmp_path).splitlines()}
    assert sorted(f"{kept} {word}" for word in found if word.startswith(current)) == sorted(
        f"bentoml {c}" for c in completed
    )


def test_the_command_prints_the_script(bentoml: Command) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert bentoml("completion", shell).out == script(shell, SPEC)
    assert bentoml("completion", "tcsh").code == 2
