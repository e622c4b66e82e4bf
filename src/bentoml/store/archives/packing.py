"""Packing: the members of an archive as a file or folder, in each format; equal members give equal bytes."""

from __future__ import annotations

import bz2
import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from .blocks import shrinks
from .formats import Format
from .gz import gz
from .tar import Tar, TarEntry
from .watch import Watch, counted
from .xz import xz
from .zstandard import zst

__all__ = ["pack"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can say
_UNIX = 3


def _bz2(chunks: Iterable[bytes]) -> Iterator[bytes]:
    compressor = bz2.BZ2Compressor()
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


_COMPRESSORS: dict[Format, Callable[[Iterable[bytes]], Iterator[bytes]]] = {
    "gz": gz,
    "xz": xz,
    "zst": zst,
    "bz2": _bz2,
    "tar": iter,
}


def pack(entries: Sequence[TarEntry], format: Format, target: Path, watch: Watch) -> None:
    """Write an archive to a place, or a folder to one where nothing is."""
    watch.expect(sum(entry.size for entry in entries))
    match format:
        case "folder":
            _write_folder(entries, target, watch)
        case "zip":
            _write_zip(entries, target, watch)
        case _:
            with target.open("wb") as file:
                for piece in _COMPRESSORS[format](counted(Tar.of(entries).chunks(), watch)):
                    file.write(piece)
                os.fsync(file.fileno())


def _write_zip(entries: Iterable[TarEntry], target: Path, watch: Watch) -> None:
    with target.open("w+b") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for entry in entries:
                _add(archive, entry, watch)
        os.fsync(file.fileno())


def _add(archive: zipfile.ZipFile, entry: TarEntry, watch: Watch) -> None:
    kinds = {"dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "file": stat.S_IFREG}
    info = zipfile.ZipInfo(entry.path + "/" * (entry.kind == "dir"), _EPOCH)
    info.create_system = _UNIX
    info.external_attr = (kinds[entry.kind] | entry.mode) << 16
    pieces = counted(entry.chunks(), watch)
    first = next(pieces, b"")
    if shrinks(first):
        info.compress_type = zipfile.ZIP_DEFLATED
    info.file_size = entry.size
    with archive.open(info, "w") as member:
        member.write(first)
        for piece in pieces:
            member.write(piece)


def _write_folder(entries: Iterable[TarEntry], target: Path, watch: Watch) -> None:
    target.mkdir()
    target.chmod(0o755)
    for entry in entries:
        place = target / entry.path
        match entry.kind:
            case "dir":
                place.mkdir()
            case "symlink":
                os.symlink(entry.link, place)
                continue
            case _:
                with place.open("xb") as file:
                    for piece in counted(entry.chunks(), watch):
                        file.write(piece)
        place.chmod(entry.mode)
