"""Which bentos Docker builds by their Dockerfile though nobody asked for an engine: those that only it can build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.builder.engines.programs import Programs
from tests.builder.handmade import save_bento

from bentoml import container
from bentoml.builder.engines.model import EngineImage
from bentoml.cli.main import run
from bentoml.config import Home
from bentoml.exceptions import BentoMLException


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A store with a bento of conda, and programs that stand for engines."""
    save_bento(
        Home(tmp_path / "home"), tmp_path / "wheels", image={"conda": {"dependencies": ["x"]}}, dockerfile="FROM x\n"
    )  # fmt: skip
    (tmp_path / "bin").mkdir()
    found = Programs(tmp_path / "bin")
    found.add("docker")
    for name, value in found.env(BENTOML_HOME=str(tmp_path / "home")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("BENTOML_CONTAINERIZE_BACKEND", raising=False)
    return found


def test_from_python(programs: Programs) -> None:
    made = container.build("greeter", image_tag="a:1")
    assert isinstance(made, EngineImage)
    (call,) = programs.builds()
    assert call["argv"][:2] == ["docker", "build"]


def test_from_the_command(programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(["containerize", "greeter", "-t", "a:1"])
    assert stop.value.code == 0
    assert 'with tag(s) "a:1"' in capsys.readouterr().out
    assert len(programs.builds()) == 1


@pytest.mark.parametrize("arguments", [(), ("--backend", "podman"), ("--opt", "no-cache")], ids=" ".join)
def test_programs_are_told_what_an_engine_made(
    programs: Programs, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    programs.add("podman")
    with pytest.raises(SystemExit) as stop:
        run(["containerize", "greeter", "-t", "a:1", "-t", "b:2", "-o", "json", *arguments])
    printed = capsys.readouterr()
    assert stop.value.code == 0, printed.err
    made = json.loads(printed.out)
    assert made.keys() == {"tag", "names", "id", "place"}
    assert made["names"] == ["a:1", "b:2"] and made["tag"].startswith("greeter:")
    (call,) = programs.builds()
    assert "json" not in call["argv"]


def test_who_wants_something_else_is_told_what_it_takes(programs: Programs, tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match=r"`conda`.*without its Dockerfile"):
        container.build("greeter", output=f"type=oci,dest={tmp_path / 'image'}")
    programs.add("docker", "sys.exit(1)")  # no daemon
    with pytest.raises(BentoMLException, match=r"`conda`.*without its Dockerfile"):
        container.build("greeter")
    assert programs.builds() == []
