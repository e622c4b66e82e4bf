"""Tar recipes: any reader can read them, and their bytes follow from the entries alone."""

from __future__ import annotations

import hashlib
import io
import os
import random
import tarfile
import time
from pathlib import Path

import pytest
from tests.builder.oci.images import Pieces, noise

from bentoml.exceptions import BentoMLException
from bentoml.store.archives.tar import Tar, TarEntry

ENTRIES = (
    TarEntry.folder("app", mode=0o750, uid=1034, gid=1034),
    TarEntry.file("app/run", b"#!/bin/sh\n", mode=0o755),
    TarEntry.file("app/set", b"", mode=0o4755, uid=7, gid=8),
    TarEntry.symlink("app/link", "../elsewhere"),
    TarEntry("app/same", "hardlink", 0o755, link="app/run"),
    TarEntry.file("app/" + "long" * 40, b"l"),
    TarEntry.file("app/ümläut 名", "é".encode()),
    TarEntry.symlink("app/toolong", "x/" * 80 + "y"),
)


def packed(tar: Tar) -> bytes:
    return b"".join(tar.chunks())


def test_python_reads_every_kind_of_entry() -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(Tar.of(ENTRIES, mtime=1234)))) as tar:
        found = {info.name: info for info in tar}
        assert tar.extractfile("app/ümläut 名").read() == "é".encode()  # type: ignore[union-attr]  # it is a file
        assert tar.extractfile("app/same").read() == b"#!/bin/sh\n"  # type: ignore[union-attr]  # it is a link to one
    assert set(found) == {entry.path for entry in ENTRIES}
    assert found["app"].isdir() and (found["app"].mode, found["app"].uid) == (0o750, 1034)
    assert (found["app/set"].mode, found["app/set"].uid, found["app/set"].gid) == (0o4755, 7, 8)
    assert found["app/link"].linkname == "../elsewhere"
    assert found["app/toolong"].linkname == "x/" * 80 + "y"
    assert found["app/same"].islnk() and found["app/same"].linkname == "app/run"
    assert {info.mtime for info in found.values()} == {1234}
    assert {(info.uname, info.gname) for info in found.values()} == {("", "")}


def test_the_bytes_are_pinned() -> None:
    """Whoever changes the writer changes the identity of every image: this test says so."""
    digest = hashlib.sha256(packed(Tar.of(ENTRIES, mtime=1))).hexdigest()
    assert digest == "db1b750874bd4add42cbed0f4d9df7989c3fc76e508a8b86fa887c657683c69a"


CAPABILITY = bytes.fromhex("0100000200040000") + bytes(12)  # cap_net_bind_service=ep
ODD = b"\xff\n=\0 12 \xc3\xa9"


@pytest.mark.parametrize("capability", [CAPABILITY, ODD], ids=["real", "odd"])
def test_a_file_keeps_its_capabilities(capability: bytes) -> None:
    entry = TarEntry.file("app/" + "long" * 40, b"x")._replace(capability=capability)
    with tarfile.open(fileobj=io.BytesIO(packed(Tar.of([entry, TarEntry.file("b", b"y")])))) as tar:
        first, second = tar
        assert first.pax_headers == {
            "path": entry.path,
            "SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape"),
        }
        assert second.pax_headers == {} and tar.extractfile(second).read() == b"y"  # type: ignore[union-attr]  # it is a file


def test_the_bytes_of_capabilities_are_pinned() -> None:
    entry = TarEntry.file("app/run", b"x")._replace(capability=CAPABILITY)
    digest = hashlib.sha256(packed(Tar.of([entry]))).hexdigest()
    assert digest == "76771710c320c59f1538f7885dac98dbcc9b481984bbbe095c0368a8eed33beb"
    with pytest.raises(ValueError, match="only a file has capabilities"):
        Tar.of([TarEntry.folder("app")._replace(capability=CAPABILITY)])


def test_order_umask_and_time_zone_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = packed(Tar.of(ENTRIES))
    shuffled = list(ENTRIES)
    random.Random(1).shuffle(shuffled)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    before = os.umask(0o077)
    try:
        assert packed(Tar.of(shuffled)) == expected
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()


def test_it_streams_as_often_as_asked_in_pieces_of_about_a_mebibyte(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(noise(3_000_000))
    small = [TarEntry.file(f"s/{number:04}", b"x") for number in range(3000)]
    tar = Tar.of([TarEntry.file("big", tmp_path / "big"), *small])
    assert packed(tar) == packed(tar)
    sizes = [len(chunk) for chunk in tar.chunks()]
    assert max(sizes) <= 2 << 20 and len(sizes) < 12


def test_a_blob_is_a_source() -> None:
    tar = Tar.of([TarEntry("a", size=4, source=Pieces((b"ab", b"cd")))])
    with tarfile.open(fileobj=io.BytesIO(packed(tar))) as archive:
        assert archive.extractfile("a").read() == b"abcd"  # type: ignore[union-attr]  # it is a file


def test_more_than_8_gib_gets_a_pax_size() -> None:
    size = 9 << 30
    head = next(iter(Tar.of([TarEntry("big", size=size, source=Pieces((bytes(1 << 20),)))]).chunks()))
    with tarfile.open(fileobj=io.BytesIO(head)) as archive:
        info = archive.next()
        assert info is not None and (info.name, info.size) == ("big", size)


@pytest.mark.parametrize("content", [b"12345", b"123"], ids=["grown", "shrunk"])
def test_a_file_that_changed_its_size_is_an_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"1234")
    tar = Tar.of([TarEntry.file("m", file)])
    file.write_bytes(content)
    with pytest.raises(BentoMLException, match=r"model\.bin` has not the 4 bytes"):
        packed(tar)


def test_a_file_that_went_away_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    tar = Tar.of([TarEntry.file("m", tmp_path / "f")])
    (tmp_path / "f").unlink()
    with pytest.raises(BentoMLException, match="cannot read"):
        packed(tar)


@pytest.mark.parametrize(
    "entries",
    [
        [TarEntry.file("/etc/passwd", b"")],
        [TarEntry.file("a/../../b", b"")],
        [TarEntry.file("./a", b"")],
        [TarEntry.folder("a/")],
        [TarEntry.file("", b"")],
        [TarEntry.file("a\0b", b"")],
        [TarEntry.file("a", b""), TarEntry.file("a", b"")],
        [TarEntry("a", "hardlink", link="b"), TarEntry.file("b", b"")],
        [TarEntry("a", "hardlink", link="nothing")],
        [TarEntry("a", "symlink")],
        [TarEntry("a", size=3)],
        [TarEntry("a", size=3, source=b"ab")],
        [TarEntry.file("a", b"", uid=-1)],
    ],
    ids=[
        "absolute", "leaves", "dot", "slash", "empty", "nul", "twice", "link-before-file", "link-to-nothing",
        "link-without-target", "no-source", "wrong-size", "negative-id",
    ],
)  # fmt: skip
def test_what_could_do_harm_is_refused(entries: list[TarEntry]) -> None:
    with pytest.raises(ValueError, match="`"):
        Tar.of(entries)


def test_large_numbers_of_owners_stay() -> None:
    entries = [TarEntry.file("a", b"", uid=2**32 - 2, gid=5), TarEntry.folder("b", uid=8**7 - 1, gid=8**7)]
    data = b"".join(Tar.of(entries).chunks())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(info.uid, info.gid) for info in archive] == [(2**32 - 2, 5), (8**7 - 1, 8**7)]
    for number in (-1, 2**32 - 1):
        with pytest.raises(ValueError, match="out of range"):
            Tar.of([TarEntry.file("a", b"", uid=number)])
