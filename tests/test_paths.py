from __future__ import annotations

import os
from pathlib import Path

import pytest

from bentoml.exceptions import InvalidArgument
from bentoml.paths import atomic_write, name_problem, nameless, under, write_atomic


@pytest.mark.parametrize(
    "inside", ["a", "a/b.txt", "a/../b", ".", "", "a//b", "not there/yet", "..."], ids=repr
)
def test_a_path_inside_is_returned_whole(tmp_path: Path, inside: str) -> None:
    assert under(tmp_path, inside) == (tmp_path / inside).resolve()


@pytest.mark.parametrize(
    "outside", ["..", "../x", "a/../../x", "/etc/passwd", "a\0b", "\0", "../" * 40 + "etc"], ids=repr
)
def test_a_path_that_leaves_is_refused(tmp_path: Path, outside: str) -> None:
    with pytest.raises(InvalidArgument, match="path"):
        under(tmp_path, outside)


def test_a_sibling_whose_name_begins_alike_is_outside(tmp_path: Path) -> None:
    (tmp_path / "model-2").mkdir()
    with pytest.raises(InvalidArgument, match="leaves its folder"):
        under(tmp_path / "model", "../model-2/secret")


def test_links_are_followed_before_they_are_judged(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "file").write_text("x")
    (root / "inner").symlink_to("sub/file")
    (root / "outer").symlink_to(tmp_path)
    (root / "chain").symlink_to("outer")
    assert under(root, "inner") == root / "sub" / "file"
    for path in ("outer", "outer/secret", "chain", "chain/secret"):
        with pytest.raises(InvalidArgument, match="leaves its folder"):
            under(root, path)


def test_the_root_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert under(tmp_path / "link", "x") == tmp_path / "real" / "x"


def test_writing_replaces_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")
    write_atomic(target, b"new", mode=0o600)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(target) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_circle_of_links_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InvalidArgument, match="leads nowhere"):
        under(tmp_path, "a")


@pytest.mark.parametrize("name", ["file", "ü" * 100, "x" * 255], ids=len)
def test_a_draft_has_no_name_that_a_killed_writer_could_leave(tmp_path: Path, name: str) -> None:
    with atomic_write(tmp_path / name) as file:
        file.write(b"half")
        file.flush()
        assert os.listdir(tmp_path) == []
    with atomic_write(tmp_path / name) as file:
        file.write(b"whole")
        file.flush()
        assert os.listdir(tmp_path) == [name]
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"whole"


def test_nothing_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]


def write(folder: Path, flag: int | None, *, fails: bool = False) -> list[str]:
    """Write a file; return the names that were there before its end."""
    with nameless(folder / "draft", folder / "file", mode=0o640, flag=flag) as place:
        place.write_bytes(b"whole")
        names = sorted(os.listdir(folder))
        if fails:
            raise RuntimeError
    return names


SYSTEMS = pytest.mark.parametrize(
    ("flag", "drafts"), [(os.O_TMPFILE, []), (None, ["draft"])], ids=["without names", "with names"]
)


@SYSTEMS
def test_a_file_is_called_so_once_it_is_whole(tmp_path: Path, flag: int | None, drafts: list[str]) -> None:
    umask = os.umask(0o027)
    try:
        assert write(tmp_path, flag) == drafts
    finally:
        os.umask(umask)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@SYSTEMS
def test_it_takes_the_place_of_what_is_called_so(tmp_path: Path, flag: int | None, drafts: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"older")
    assert write(tmp_path, flag) == [*drafts, "file"]
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"whole"


@SYSTEMS
def test_an_error_leaves_what_was_there(tmp_path: Path, flag: int | None, drafts: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"older")
    with pytest.raises(RuntimeError):
        write(tmp_path, flag, fails=True)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"older"


def test_a_draft_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "draft").write_bytes(b"another's")
    with pytest.raises(FileExistsError):
        write(tmp_path, None)
    assert (tmp_path / "draft").read_bytes() == b"another's"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such"):
        write(tmp_path / "no-such", os.O_TMPFILE)


def test_a_file_system_that_has_no_such_files_is_asked_for_one_with_a_name() -> None:
    with pytest.raises(OSError, match="draft"):
        write(Path("/proc/self/fdinfo"), os.O_TMPFILE)


def test_where_names_are_not_utf_8_the_setting_is_to_be_changed_not_the_name() -> None:
    assert "rename" in name_problem("utf-8") and "rename" in name_problem()
    said = name_problem("ascii")
    assert "`ascii`" in said and "PYTHONUTF8=1" in said and "rename" not in said
