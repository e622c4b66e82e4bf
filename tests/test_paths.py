from __future__ import annotations

import os
from pathlib import Path

import pytest

from bentoml.exceptions import InvalidArgument
from bentoml.paths import atomic_write, under, write_atomic


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
