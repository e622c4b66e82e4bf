from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.registry.fake_registry import FakeRegistry, running

from bentoml.builder.contents.wheel import runtime_requirements
from bentoml.builder.packages.lock import Lock, LockPlatform, LockRequest, Pins
from bentoml.cli.main import run
from bentoml.config import Home
from bentoml.store.bentos import BentoStore

MINIMAL = Path(__file__).parents[1] / "projects" / "minimal"
TAG = r"greeting_card_service:[a-z2-7]{16}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A store of its own, and the minimal project as the current folder."""
    shutil.copytree(MINIMAL, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


def bentoml(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run(["build", *arguments])
    return int(ended.value.code or 0)


def test_build_says_what_it_built(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert bentoml() == 0
    (bento,) = BentoStore(home).list()
    out, err = capsys.readouterr()
    assert out == f'Successfully built Bento(tag="{bento.tag}").\n'
    assert f"bentoml serve {bento.tag}" in err


def test_a_program_gets_the_tag_and_nothing_else(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "--name",
        "card",
        "--version",
        "v1",
        "--label",
        "owner=me",
        "--label",
        "a=b=c",
        "--platform",
        "linux/arm64",
    )
    assert bentoml("..", "-o", "tag") == 1, "there is no service in the folder above"
    capsys.readouterr()
    assert bentoml("service.py:GreetingCardService", "-o", "tag", *options) == 0
    assert capsys.readouterr().out == "__tag__:card:v1\n"
    info = BentoStore(home).get("card:v1").info
    assert info.labels == {"owner": "me", "a": "b=c"}
    assert info.service == "service:GreetingCardService"
    assert info.image["platform"] == "linux/arm64"


def test_another_build_file_and_its_lock(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """The lock lies beside the build file; with its entry there, nothing is resolved."""
    folder = home.root.parent / "deploy"
    folder.mkdir()
    (folder / "prod.yaml").write_text(
        "service: service:GreetingCardService\nname: prod\ndocker: {python_version: '3.12'}\n"
    )
    request = LockRequest(runtime_requirements(), "3.12", LockPlatform.parse("linux"))
    lock = Lock({request.key: Pins(request.inputs, "anyio==4.16.0 \\\n    --hash=sha256:00\n")})
    (folder / "bentofile.lock").write_text(str(lock))
    assert bentoml("-f", "../deploy/prod.yaml", "--locked") == 0
    bento = BentoStore(home).get("prod")
    assert Path(bento.path_of("env/python/requirements.txt")).read_text().startswith("anyio==4.16.0")
    assert (folder / "bentofile.lock").read_text() == str(lock)
    assert not Path("bentofile.lock").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(("--update", "--locked"), 2, "one of them", id="update and locked"),
        pytest.param(("--update", "--offline"), 2, "one of them", id="update and offline"),
        pytest.param(("--label", "owner"), 2, "KEY=VALUE", id="label"),
        pytest.param(("-o", "xml"), 2, "xml", id="output"),
        pytest.param(("--name", "A B"), 1, "`name`", id="name"),
        pytest.param(("--platform", "windows"), 2, "`windows`", id="platform"),
        pytest.param(("-f", "none.yaml"), 1, "`none.yaml`", id="build file"),
        pytest.param(("nowhere",), 1, "nowhere", id="neither a folder nor a module"),
    ],
)
def test_what_cannot_be_done_is_said(
    home: Home, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert bentoml(*arguments) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    assert not home.bentos.exists()


def test_locked_without_a_lock(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bentofile.yaml").write_text(json.dumps({"service": "service:GreetingCardService"}))
    assert bentoml("--locked") == 1
    assert "`bentofile.lock` has no entry" in capsys.readouterr().err
    assert not Path("bentofile.lock").exists()


def test_offline_uses_the_lock_or_says_what_it_lacks(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(home.root.parent / "empty"))
    data = {"service": "service:GreetingCardService", "docker": {"python_version": "3.12"}}
    Path("bentofile.yaml").write_text(json.dumps(data))
    assert bentoml("--offline") == 1
    said = capsys.readouterr().err
    assert "`bentofile.lock` has no pins for what the project asks for, and `--offline` asks no index" in said
    assert "cannot be resolved" in said
    assert "an image is made of wheels" not in said, "that is not why"
    assert not Path("bentofile.lock").exists()
    request = LockRequest(runtime_requirements(), "3.12", LockPlatform.parse("linux"))
    pins = Pins(request.inputs, "anyio==4.16.0 \\\n    --hash=sha256:00\n")
    Path("bentofile.lock").write_text(str(Lock({request.key: pins})))
    assert bentoml("--offline") == 0


@pytest.mark.slow
def test_a_real_lock_is_kept_and_moved(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bentofile.yaml").write_text(json.dumps({"python": {"packages": ["six"]}}))
    assert bentoml("-o", "tag") == 0
    first, lock = capsys.readouterr().out, Path("bentofile.lock").read_text()
    assert "six==" in lock
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    assert str(home.root.parent) not in lock
    for option in ("--locked", "--update"):
        assert bentoml("-o", "tag", option) == 0
        assert capsys.readouterr().out == first
        assert Path("bentofile.lock").read_text() == lock


def test_an_image_at_once(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_CONTAINERIZE_BACKEND", "no-such-engine")
    assert bentoml("-o", "tag", "--containerize") != 0
    out, err = capsys.readouterr()
    (bento,) = BentoStore(home).list()
    assert out == f"__tag__:{bento.tag}\n"
    assert "no-such-engine" in err


def test_pushed_at_once(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = FakeRegistry()
    with running(registry):
        monkeypatch.setenv("BENTOML_REGISTRY", f"{registry.host}/team")
        assert bentoml("--push", "--threads", "2") == 0
    (bento,) = BentoStore(home).list()
    built, pushed = capsys.readouterr().out.splitlines()
    assert built == f'Successfully built Bento(tag="{bento.tag}").'
    assert f"{registry.host}/team/{bento.tag}" in pushed


def test_one_of_both(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert bentoml("--push", "--containerize") == 2
    assert "--containerize and --push exclude each other" in capsys.readouterr().err
    assert BentoStore(home).list() == []


def test_what_makes_and_pushes_images_is_loaded_only_when_wanted(home: Home) -> None:
    code = (
        "import sys; from bentoml.cli.main import run\n"
        "try: run(['build', 'no_such_module:Service'])\n"
        "except SystemExit: pass\n"
        "print(*{'bentoml.builder.image.containerize', 'bentoml.registry.push', 'bentoml.cli.build'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bentoml.cli.build"]
