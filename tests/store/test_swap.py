"""Two folders change places: there is no moment without one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.store.meanwhile import meanwhile

from bentoml.store.swap import by_renaming, swap


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one", tmp_path / "deep" / "other"
    for folder in (one, other):
        folder.mkdir(parents=True)
        (folder / "name").write_text(folder.name)
    return one, other


def test_two_folders_change_places(folders: tuple[Path, Path]) -> None:
    one, other = folders
    swap(one, other)
    assert [(folder / "name").read_text() for folder in folders] == ["other", "one"]


def test_where_the_file_system_knows_no_such_step_it_takes_three(folders: tuple[Path, Path]) -> None:
    one, other = folders
    by_renaming(one, other)
    assert [(folder / "name").read_text() for folder in folders] == ["other", "one"]
    assert sorted(os.listdir(one.parent)) == ["deep", "one"]


def test_there_is_no_moment_without_one(folders: tuple[Path, Path]) -> None:
    missing: list[Path] = []
    with meanwhile(lambda: missing.extend(folder for folder in folders if not folder.exists())):
        for _ in range(100):
            swap(*folders)
    assert missing == []


def test_what_cannot_be_renamed_stays(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        swap(folders[0], tmp_path / "nowhere")
    assert folders[0].is_dir()
