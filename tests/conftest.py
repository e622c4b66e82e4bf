"""Fixtures that every test may use."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import Project

from bentoml.store import current


@pytest.fixture(autouse=True, scope="session")
def _signals_arrive() -> None:
    """Undo what `nohup` and a shell's `&` leave to all that they start: tests send these signals, to servers, too."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _the_store_in_use_stays() -> Iterator[None]:
    """Let no test leave its store to the next one."""
    before = (current._current.home, current._current.pins)
    yield
    current._current.home, current._current.pins = before


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project folder with a store of its own."""
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project", tmp_path / "home")
