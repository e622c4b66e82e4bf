"""What every test of a command stands on: the program, and a store of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.commands import Command, command

from bentoml.config import Home


@pytest.fixture
def bentoml(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""
    return command(capsys)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Let commands work in a store that is empty."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")
