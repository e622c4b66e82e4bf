from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bentoml.store.blobs import Blobs
from bentoml.store.digest import Digest
from bentoml.store.tree import Entry

ENTRY = Entry("x", 3, Digest.of(b"abc"))


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def file(tmp_path: Path, name: str, data: bytes = b"abc") -> Path:
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def test_equal_content_is_one_file(tmp_path: Path, blobs: Blobs) -> None:
    one, two = file(tmp_path, "one"), file(tmp_path, "two")
    assert not blobs.holds(ENTRY)
    blobs.share(one, ENTRY)
    blobs.share(two, ENTRY)
    assert blobs.holds(ENTRY)
    assert os.path.samefile(one, two) and os.path.samefile(one, blobs.path(ENTRY))
    assert blobs.path(ENTRY) == tmp_path / "blobs" / "sha256" / ENTRY.digest.hex[:2] / ENTRY.digest.hex
    assert sorted(os.listdir(tmp_path)) == ["blobs", "one", "two"]


def test_an_executable_is_another_file(tmp_path: Path, blobs: Blobs) -> None:
    run = Entry("x", 3, ENTRY.digest, executable=True)
    blobs.share(file(tmp_path, "one"), ENTRY)
    blobs.share(file(tmp_path, "two"), run)
    assert not os.path.samefile(blobs.path(ENTRY), blobs.path(run))


def test_a_blob_of_the_wrong_size_is_replaced(tmp_path: Path, blobs: Blobs) -> None:
    blobs.share(file(tmp_path, "one"), ENTRY)
    blobs.path(ENTRY).write_bytes(b"ab")
    assert not blobs.holds(ENTRY)
    blobs.share(file(tmp_path, "two"), ENTRY)
    assert blobs.path(ENTRY).read_bytes() == (tmp_path / "two").read_bytes() == b"abc"


def test_an_empty_file_needs_no_blob(tmp_path: Path, blobs: Blobs) -> None:
    blobs.share(file(tmp_path, "one", b""), Entry("x", 0, Digest.of(b"")))
    assert not blobs.root.exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_where_links_are_impossible_the_item_keeps_its_own_file(tmp_path: Path, number: int) -> None:
    def no_link(content: Path, name: Path) -> None:
        raise OSError(number, os.strerror(number))

    blobs = Blobs(tmp_path / "blobs", no_link)
    blobs.share(file(tmp_path, "one"), ENTRY)
    assert (tmp_path / "one").read_bytes() == b"abc"
    assert not blobs.holds(ENTRY)


def test_other_failures_are_not_hidden(tmp_path: Path) -> None:
    def full(content: Path, name: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        Blobs(tmp_path / "blobs", full).share(file(tmp_path, "one"), ENTRY)


def test_only_unused_blobs_are_released(tmp_path: Path, blobs: Blobs) -> None:
    other = Entry("y", 2, Digest.of(b"de"))
    one, two = file(tmp_path, "one"), file(tmp_path, "two", b"de")
    blobs.share(one, ENTRY)
    blobs.share(two, other)
    one.unlink()
    (tmp_path / "trash").mkdir()
    blobs.release([ENTRY, other, Entry("z", 1, Digest.of(b"never"))], tmp_path / "trash")
    assert not blobs.holds(ENTRY) and blobs.holds(other)
    two.unlink()
    blobs.sweep(tmp_path / "trash")
    assert not blobs.holds(other)
    assert len(os.listdir(tmp_path / "trash")) == 2
