"""Pickled content: which files of an item hold some, told by their bytes, whatever they are called.

Found are pickles of every protocol, as they are or compressed (as joblib writes them); zip and tar archives with a
pickle in them (as torch.save writes them); and NumPy's arrays of objects. What is packed so that one cannot look into it counts as pickled.
"""

from __future__ import annotations

import ast
import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, BinaryIO

from .opcodes import is_pickle

__all__ = ["holds_pickles", "pickled_files"]

_HEAD = 1 << 16  # bytes of a packed file that are looked at
_DEEPEST = 3  # archives in archives
_MOST_MEMBERS = 100_000
_NPY = b"\x93NUMPY"
_OBJECTS = re.compile(r"(?<![A-Za-z_])O(?![A-Za-z_])|object")
_OPAQUE = (b"\x04\x22\x4d\x18", b"ZF0x", b"\x28\xb5\x2f\xfd")  # lz4, joblib's old format, zstd
_ZIP = b"PK"


def pickled_files(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Return those of a folder's files that hold pickled content."""
    return tuple(path for path in paths if holds_pickles(folder / path))


def holds_pickles(file: Path) -> bool:
    """Say whether a file holds pickled content."""
    with file.open("rb") as stream:
        return _looks_pickled(stream, True, _DEEPEST)


def _looks_pickled(stream: BinaryIO, is_whole: bool, depth: int) -> bool:
    """Say whether a stream, or the beginning of one, holds pickled content, at most so deep in archives."""
    head = stream.read(512)
    if not head:
        return False
    if head.startswith(_OPAQUE):
        return True
    if head.startswith(_NPY):
        return _has_objects(head, stream)
    if (content := _unpacked(head, stream)) is not None:
        return not depth or _looks_pickled(*content, depth - 1)
    stream.seek(0)
    if is_pickle(stream, is_whole=is_whole):
        return True
    if zipfile.is_zipfile(stream) or head.startswith(_ZIP):
        return not depth or _in_zip(stream, depth)
    return _is_tar(head) and (not depth or _in_tar(stream, depth))


def _has_objects(head: bytes, stream: BinaryIO) -> bool:
    """Say whether an array's header declares elements that are Python objects."""
    size = int.from_bytes(head[8:10] if head[6:7] == b"\x01" else head[8:12], "little")
    header = (head + stream.read(_HEAD))[10 if head[6:7] == b"\x01" else 12 :][:size].decode("latin-1")
    try:
        said = repr(
            ast.literal_eval(header.strip())
        )  # as NumPy reads it, so that a letter may be written in many ways
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return True
    return size > _HEAD or bool(_OBJECTS.search(said))


def _unpacked(head: bytes, stream: BinaryIO) -> tuple[BinaryIO, bool] | None:
    """Return the beginning of what is packed as one stream, and whether it is all; None of what nobody can unpack."""
    unpack = _unpacking(head)
    if unpack is None:
        return None
    stream.seek(0)
    try:
        content = unpack(stream)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return None
    return io.BytesIO(content), len(content) < _HEAD


def _unpacking(head: bytes) -> Callable[[BinaryIO], bytes] | None:
    if head.startswith(b"\x1f\x8b"):
        return lambda stream: gzip.GzipFile(fileobj=stream).read(_HEAD)
    if head.startswith(b"BZh"):
        return lambda stream: bz2.BZ2File(stream).read(_HEAD)
    if head.startswith((b"\xfd7zXZ\0", b"\x5d\0")):
        return lambda stream: lzma.LZMAFile(stream).read(_HEAD)
    if head[0] == 0x78 and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0:
        return lambda stream: zlib.decompressobj().decompress(stream.read(_HEAD), _HEAD)
    return None


def _in_zip(stream: BinaryIO, depth: int) -> bool:
    """Look into the members; an archive that cannot be read here may be read elsewhere."""
    try:
        with zipfile.ZipFile(stream) as archive:
            files = [member for member in archive.infolist() if not member.is_dir()]
            return len(files) > _MOST_MEMBERS or any(_member(archive.open(member), depth) for member in files)
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, NotImplementedError, EOFError, zlib.error):
        return True


def _in_tar(stream: BinaryIO, depth: int) -> bool:
    stream.seek(0)
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            return any(
                _member(content, depth)
                for member in archive
                if member.isfile() and (content := archive.extractfile(member))
            )
    except (tarfile.TarError, OSError, ValueError, EOFError):
        return True


def _member(content: IO[bytes], depth: int) -> bool:
    with content:
        data = content.read(_HEAD)
    return _looks_pickled(io.BytesIO(data), len(data) < _HEAD, depth - 1)


def _is_tar(head: bytes) -> bool:
    """Say whether the first block is a header of tar, of any age, which its checksum tells."""
    if len(head) < 512:
        return False
    try:
        said = int(head[148:156].rstrip(b"\0 ").lstrip() or b"x", 8)
    except ValueError:
        return False
    return said == sum(head[:148]) + 8 * 32 + sum(head[156:])
