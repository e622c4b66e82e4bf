"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project folder with a store of its own."""
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project", tmp_path / "home")
