"""Tar recipes: what an archive or a layer of an image holds, and the one byte stream that it gives, made anew each time.

The format is POSIX ustar, with a pax record where a name, link or size does not fit. It is written here and not by
`tarfile`, because the bytes must stay the same in every Python version: their sha256 is the identity of a layer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from ...exceptions import BentoMLException

__all__ = ["CAPABILITY", "Source", "Tar", "TarEntry", "file_chunks"]

_BLOCK = 512
_CHUNK = 1 << 20
_END = bytes(2 * _BLOCK)
_MAX_NAME = 100
_MAX_SIZE = 8**11 - 1
_MAX_ID = 8**7 - 1
_LARGEST_ID = 2**32 - 2
CAPABILITY = b"SCHILY.xattr.security.capability"  # the key of the record that engines write, too
_TYPES = {"file": b"0", "hardlink": b"1", "symlink": b"2", "dir": b"5"}


class Source(Protocol):
    """Give content piece by piece."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes, in order; may be called again."""
        ...


class TarEntry(NamedTuple):
    """One file, folder or link: ``path`` is relative to the root, ``source`` gives a file's bytes.

    ``size`` is that of ``source``: a file that has another size when it is read is an error. ``link`` is the text of
    a symbolic link, or the path of the file that a hard link shares. ``capability`` is what `setcap` gave a program: the
    bytes of its attribute ``security.capability``, which are the only attribute that a tar of ours holds.
    """

    path: str
    kind: Literal["file", "dir", "symlink", "hardlink"] = "file"
    mode: int = 0o644
    size: int = 0
    source: bytes | Path | Source | None = None
    link: str = ""
    uid: int = 0
    gid: int = 0
    capability: bytes = b""

    @classmethod
    def file(
        cls, path: str, source: bytes | Path, *, mode: int = 0o644, uid: int = 0, gid: int = 0
    ) -> TarEntry:
        """Return the entry of a file, whose size is found out now."""
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        return cls(path, "file", mode, size, source, uid=uid, gid=gid)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of a file, or the text of a symbolic link, and never another number of them than it has."""
        return iter([os.fsencode(self.link)]) if self.kind == "symlink" else _content(self)

    @classmethod
    def folder(cls, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> TarEntry:
        """Return the entry of a folder."""
        return cls(path, "dir", mode, uid=uid, gid=gid)

    @classmethod
    def symlink(cls, path: str, link: str, *, uid: int = 0, gid: int = 0) -> TarEntry:
        """Return the entry of a symbolic link."""
        return cls(path, "symlink", 0o777, link=link, uid=uid, gid=gid)


class Tar(NamedTuple):
    """A tar as a recipe: equal entries give equal bytes. It is a `Source`: ``chunks()`` streams it as often as asked."""

    entries: tuple[TarEntry, ...]
    mtime: int = 0

    @classmethod
    def of(cls, entries: Iterable[TarEntry], *, mtime: int = 0) -> Tar:
        """Return the tar of these entries, sorted by path.

        Raises:
            ValueError: a path is not plain and relative or stands twice, or a hard link's file does not come before it.
        """
        ordered = tuple(sorted(entries, key=lambda entry: entry.path))
        files: set[str] = set()
        previous = None
        for entry in ordered:
            _check(entry, files)
            if entry.path == previous:
                raise ValueError(f"`{entry.path}` stands twice in one archive")
            previous = entry.path
        return cls(ordered, mtime)

    def chunks(self) -> Iterator[bytes]:
        """Yield the tar, in pieces of about 1 MiB.

        Raises:
            BentoMLException: a source file cannot be read, or its size is no longer that of its entry.
        """
        return _coalesced(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        for entry in self.entries:
            yield _header(entry, self.mtime)
            if entry.kind == "file":
                yield from _content(entry)
                yield bytes(-entry.size % _BLOCK)
        yield _END


def _check(entry: TarEntry, files: set[str]) -> None:
    """Refuse what could lie outside the root, or what an unpacker could not make."""
    parts = entry.path.split("/")
    if "\0" in entry.path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"`{entry.path}` is not a plain relative path")
    if not (0 <= entry.uid <= _LARGEST_ID and 0 <= entry.gid <= _LARGEST_ID):
        raise ValueError(f"`{entry.path}`: user or group id out of range")
    if entry.capability and entry.kind != "file":
        raise ValueError(f"`{entry.path}`: only a file has capabilities")
    match entry.kind:
        case "file":
            if entry.source is None or (isinstance(entry.source, bytes) and len(entry.source) != entry.size):
                raise ValueError(f"`{entry.path}`: a file has a source of its size")
            files.add(entry.path)
        case "hardlink":
            if entry.link not in files:
                raise ValueError(f"`{entry.path}`: hard link to `{entry.link}`, which is no file before it")
        case "symlink":
            if not entry.link or "\0" in entry.link:
                raise ValueError(f"`{entry.path}`: a symbolic link says where it points")
        case "dir":
            pass


def _header(entry: TarEntry, mtime: int) -> bytes:
    name = os.fsencode(entry.path) + (b"/" if entry.kind == "dir" else b"")
    link = os.fsencode(entry.link)
    size = entry.size if entry.kind == "file" else 0
    records = b""
    if _needs_pax(name):
        records += _pax_record(b"path", name)
    if _needs_pax(link):
        records += _pax_record(b"linkpath", link)
    if size > _MAX_SIZE:
        records += _pax_record(b"size", b"%d" % size)
        size = 0
    if entry.capability:
        records += _pax_record(CAPABILITY, entry.capability)
    owner = {b"uid": entry.uid, b"gid": entry.gid}
    for key, number in owner.items():
        if number > _MAX_ID:
            records += _pax_record(key, b"%d" % number)
            owner[key] = 0
    block = _block(name, entry.mode, owner[b"uid"], owner[b"gid"], size, mtime, _TYPES[entry.kind], link)
    if not records:
        return block
    pax = _block(b"././@PaxHeader", 0o644, 0, 0, len(records), mtime, b"x", b"")
    return pax + records + bytes(-len(records) % _BLOCK) + block


def _needs_pax(text: bytes) -> bool:
    return len(text) > _MAX_NAME or not text.isascii()


def _pax_record(key: bytes, value: bytes) -> bytes:
    """Return ``<length> key=value\\n``, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _block(
    name: bytes, mode: int, uid: int, gid: int, size: int, mtime: int, kind: bytes, link: bytes
) -> bytes:
    fields = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0        %s%s" % (
        name[:_MAX_NAME].ljust(_MAX_NAME, b"\0"), mode, uid, gid, size, mtime, kind,
        link[:_MAX_NAME].ljust(_MAX_NAME, b"\0"),
    )  # fmt: skip
    block = (fields + b"ustar\x0000").ljust(_BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _content(entry: TarEntry) -> Iterator[bytes]:
    """Yield the bytes of a file, and never another number of them than its header says."""
    left = entry.size
    for data in _source_chunks(entry.source):
        left -= len(data)
        if left < 0:
            break
        yield data
    if left:
        raise BentoMLException(
            f"`{entry.source if isinstance(entry.source, Path) else entry.path}` has not the {entry.size} bytes "
            "it had before; leave the files alone until they are read, and try again"
        )


def _source_chunks(source: bytes | Path | Source | None) -> Iterator[bytes]:
    match source:
        case None:
            pass
        case bytes():
            yield source
        case Path():
            yield from file_chunks(source)
        case _:
            yield from source.chunks()


def file_chunks(file: Path) -> Iterator[bytes]:
    """Yield the bytes of a file; one that cannot be read is a ``BentoMLException``."""
    try:
        with file.open("rb", buffering=0) as stream:
            while data := stream.read(_CHUNK):
                yield data
    except OSError as e:
        raise BentoMLException(f"cannot read `{file}`: {e.strerror}") from e


def _coalesced(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces, so that hashing and compressing is called for megabytes, not for headers."""
    waiting: list[bytes] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= _CHUNK:
            yield b"".join(waiting) if len(waiting) > 1 else waiting[0]
            waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)
