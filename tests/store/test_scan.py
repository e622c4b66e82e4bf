from __future__ import annotations

import os
from pathlib import Path

import pytest

from bentoml.exceptions import InvalidArgument
from bentoml.store.blobs import Blobs
from bentoml.store.digest import Digest
from bentoml.store.scan import folder_size, scan, take
from bentoml.store.tree import Entry, Tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "draft"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a").write_text("abc")
    (root / "sub" / "run").write_text("x")
    (root / "sub" / "run").chmod(0o711)
    (root / "sub" / "deep" / ".hidden").write_text("")
    return root


def taken(folder: Path) -> Tree:
    return take(folder, Blobs(folder.parent / "blobs"), manifest="model.yaml")


def test_a_folder_becomes_a_tree(folder: Path) -> None:
    expected = Tree.of(
        [
            Entry("a", 3, Digest.of(b"abc")),
            Entry("sub/run", 1, Digest.of(b"x"), executable=True),
            Entry("sub/deep/.hidden", 0, Digest.of(b"")),
        ]
    )
    assert scan(folder, skip="model.yaml") == expected
    assert taken(folder) == expected
    assert scan(folder, skip="model.yaml") == expected


def test_only_the_manifest_at_the_top_is_skipped(folder: Path) -> None:
    (folder / "model.yaml").write_text("m")
    (folder / "sub" / "model.yaml").write_text("m")
    assert [e.path for e in scan(folder, skip="model.yaml").entries] == [
        "a",
        "sub/deep/.hidden",
        "sub/model.yaml",
        "sub/run",
    ]


def test_what_is_taken_is_read_only(folder: Path) -> None:
    taken(folder)
    assert [(folder / p).stat().st_mode & 0o777 for p in ("a", "sub/run", "sub")] == [0o444, 0o555, 0o755]


def test_a_file_with_another_name_elsewhere_becomes_a_copy(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.write_text("shared")
    os.link(outside, folder / "linked")
    (folder / "linked.copy").write_text("another")
    taken(folder)
    assert (folder / "linked.copy").read_text() == "another"
    assert sorted(os.listdir(folder)) == ["a", "linked", "linked.copy", "sub"]
    assert not os.path.samefile(outside, folder / "linked")
    assert (folder / "linked").read_text() == "shared"
    assert outside.stat().st_mode & 0o200


def test_empty_folders_are_dropped(folder: Path) -> None:
    (folder / "empty" / "er").mkdir(parents=True)
    taken(folder)
    assert sorted(os.listdir(folder)) == ["a", "sub"]


@pytest.mark.parametrize("target", ["a", "sub/run", "sub/deep/../../a", "sub", "chain"])
def test_links_that_stay_inside_are_kept(folder: Path, target: str) -> None:
    (folder / "chain").symlink_to("a")
    (folder / "link").symlink_to(target)
    assert Entry("link", 0, Digest.of(target.encode()), link=target) in taken(folder).entries
    assert os.readlink(folder / "link") == target


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../outside", "missing", "link", "sub/../../draft/a", "away", "away/x", ""],
    ids=[
        "absolute",
        "leaves",
        "dangling",
        "loop",
        "leaves and returns",
        "chain",
        "through a link",
        "absolute but inside",
    ],
)
def test_other_links_are_refused(folder: Path, target: str) -> None:
    (folder.parent / "outside").mkdir()
    (folder.parent / "outside" / "x").write_text("secret")
    if "away" in target:
        (folder / "away").symlink_to("../outside")
    if not target:
        target = str(folder / "a")
    (folder / "link").symlink_to(target)
    with pytest.raises(InvalidArgument, match="is not inside the folder"):
        taken(folder)


def test_what_is_no_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(InvalidArgument, match="`pipe` is neither a file nor a folder"):
        taken(folder)


@pytest.mark.parametrize("name", [b"new\nline", b"not utf-8 \xff", b"tab\t"], ids=repr)
def test_names_that_a_manifest_cannot_hold_are_refused(folder: Path, name: bytes) -> None:
    (folder / os.fsdecode(name)).touch()
    with pytest.raises(InvalidArgument, match="rename the file"):
        taken(folder)


def test_a_file_named_like_the_manifest_is_refused(folder: Path) -> None:
    (folder / "model.yaml").touch()
    with pytest.raises(InvalidArgument, match=r"`model.yaml` is the file"):
        taken(folder)


def test_the_size_follows_no_links(folder: Path) -> None:
    (folder / "again").symlink_to("a")
    (folder / "up").symlink_to("sub")
    assert folder_size(folder) == 4
