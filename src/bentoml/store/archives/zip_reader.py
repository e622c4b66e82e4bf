"""Reading a zip, strictly: its directory and its members must tell the same story, and fill the file without a gap."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ...exceptions import BentoMLException
from .members import Kind, Member, checked_path

__all__ = ["zip_members"]

_PIECE = 1 << 20
_HEADER = 30  # bytes before the name of a member
_MAGIC, _DIRECTORY, _END_64, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x06\x06", b"PK\x05\x06"
_ENTRY = 46  # bytes of an entry of the directory, before its name
_LARGEST_DIRECTORY = 256 << 20
_END_SIZE = 22
_END_64_SIZE = 56 + 20
_ENCRYPTED, _SIZES_BEHIND, _UTF_8 = 0x1, 0x8, 0x800
_UNIX = 3
_LONGEST_LINK = 4096
_KINDS: dict[int, Kind] = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink"}
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    OverflowError, OSError,
)  # fmt: skip


def zip_members(file: BinaryIO) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Yield each member with its content, in the order in which they lie.

    Raises:
        BentoMLException: it is damaged, encrypted, tells two stories, or holds what is neither a file, a folder nor a link.
    """
    with _damage(), zipfile.ZipFile(file) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        _check_layout(file, archive, infos)
        for info in infos:
            member = _member(archive, info)
            yield member, _content(archive, info) if member.kind == "file" else iter(())


@contextmanager
def _damage() -> Iterator[None]:
    """Turn what the library raises of a damaged file into our error."""
    try:
        yield
    except _DAMAGE as e:
        raise BentoMLException(f"its zip is damaged: {e}") from e


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    if info.flag_bits & _ENCRYPTED:
        raise BentoMLException(f"{info.orig_filename!r} is encrypted")
    if "\0" in info.orig_filename:
        raise BentoMLException(f"{info.orig_filename!r} holds a NUL character")
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    kind = "dir" if info.filename.endswith("/") else _KINDS.get(stat.S_IFMT(mode))
    if kind is None:
        raise BentoMLException(f"{info.filename!r} is neither a file, a folder nor a link")
    if kind != "file" and info.file_size > (_LONGEST_LINK if kind == "symlink" else 0):
        raise BentoMLException(f"{info.filename!r} is no file, and has content")
    link = archive.read(info).decode("utf-8", "surrogateescape") if kind == "symlink" else ""
    size = info.file_size if kind == "file" else 0
    return Member(checked_path(_as_utf8(info)), kind, size, bool(mode & 0o100), link)


def _as_utf8(info: zipfile.ZipInfo) -> str:
    """Return the name; one that is not said to be UTF-8 is, as all programs of today write it, where it can be."""
    if info.flag_bits & _UTF_8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    size = 0
    with _damage(), archive.open(info) as content:
        while piece := content.read(_PIECE):
            size += len(piece)
            yield piece
    if size != info.file_size:
        raise BentoMLException(f"`{info.filename}` has {size} bytes instead of {info.file_size}")


def _check_layout(file: BinaryIO, archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> None:
    """Make sure that the members lie one behind the other, then the one directory, then the end of the file."""
    place = 0
    following = [*(info.header_offset for info in infos), archive.start_dir]
    for info, after in zip(infos, following[1:], strict=True):
        if info.header_offset != place:
            raise BentoMLException("members of its zip overlap, or something lies between them")
        place = _end_of(file, info)
        if info.flag_bits & _SIZES_BEHIND:
            place = _after_sizes(place, after)
    if place != archive.start_dir:
        raise BentoMLException("something lies between the members of its zip and their directory")
    file.seek(place)
    _check_end(file.read(_LARGEST_DIRECTORY + 1), len(infos))


def _check_end(data: bytes, count: int) -> None:
    """Make sure that nothing stands behind the members but one directory of so many, and the records of the end."""
    place = found = 0
    while data[place : place + 4] == _DIRECTORY:
        lengths = (int.from_bytes(data[place + at : place + at + 2], "little") for at in (28, 30, 32))
        place += _ENTRY + sum(lengths)
        found += 1
    if data[place : place + 4] == _END_64:
        place += _END_64_SIZE
    if found != count or len(data) != place + _END_SIZE or data[place : place + 4] != _END:
        raise BentoMLException("its zip has more than one directory, or something follows its end")


def _after_sizes(end: int, following: int) -> int:
    """Return where a member ends whose sizes stand behind it, in one of the four ways in which programs write them."""
    return following if following - end in (12, 16, 20, 24) else end


def _end_of(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    file.seek(info.header_offset)
    header = file.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise BentoMLException(f"its zip is damaged at {info.filename!r}")
    name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    return info.header_offset + _HEADER + name + extra + info.compress_size
