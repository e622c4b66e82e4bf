"""A file that has no name until it is whole, and what happens where there are no such files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bentoml.store.archives.nameless import nameless


def write(folder: Path, *, fails: bool = False) -> list[str]:
    """Write a file; return the names that were there before its end."""
    with nameless(folder / "draft", folder / "file") as place:
        place.write_bytes(b"whole")
        names = os.listdir(folder)
        if fails:
            raise RuntimeError
    return names


def test_it_has_no_name_until_it_is_whole(tmp_path: Path) -> None:
    assert write(tmp_path) == []
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"whole"
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask


def test_it_takes_the_place_of_what_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"older")
    assert write(tmp_path) == ["file"] == os.listdir(tmp_path)
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"older")
    with pytest.raises(RuntimeError):
        write(tmp_path, fails=True)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"older"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such"):
        write(tmp_path / "no-such")


def test_where_there_are_no_such_files_it_has_a_name_at_once() -> None:
    folder = Path("/proc/self/fdinfo")  # a file system that makes no files at all
    with pytest.raises(FileNotFoundError), nameless(folder / "draft", folder / "file") as place:
        assert place == folder / "draft"
