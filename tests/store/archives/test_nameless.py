"""A file that has no name until it is whole, and what happens where there are no such files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bentoml.store.archives.nameless import nameless


def write(draft: Path, *, fails: bool = False) -> list[str]:
    """Write a file; return the names that were there before its end."""
    with nameless(draft) as place:
        place.write_bytes(b"whole")
        names = os.listdir(draft.parent)
        if fails:
            raise RuntimeError
    return names


def test_it_has_no_name_until_it_is_whole(tmp_path: Path) -> None:
    assert write(tmp_path / "draft") == []
    assert (tmp_path / "draft").read_bytes() == b"whole"
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "draft").stat().st_mode & 0o777 == 0o666 & ~umask


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        write(tmp_path / "draft", fails=True)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such"):
        write(tmp_path / "no-such" / "draft")


def test_where_there_are_no_such_files_it_has_its_name_at_once() -> None:
    folder = Path("/proc/self/fdinfo")  # a file system that makes no files at all
    with nameless(folder / "draft") as place:
        assert place == folder / "draft"
