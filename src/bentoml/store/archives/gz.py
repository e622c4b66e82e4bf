"""Gzip, written such that what does not shrink is stored as it is (RFC 1951, 1952)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from .blocks import runs

__all__ = ["HEADER", "LAST", "STORED", "gz", "stored", "trailer"]

HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate, no name, no time, operating system unknown
STORED = 0xFFFF  # bytes of a stored block, at most
LAST = b"\x01\0\0\xff\xff"  # a stored block of nothing
_LEVEL = 6


def gz(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the .gz file of these bytes."""
    yield HEADER
    size = checksum = 0
    for shrinks, pieces in runs(chunks):
        deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
        for piece in pieces:
            size += len(piece)
            checksum = zlib.crc32(piece, checksum)
            yield deflate.compress(piece) if shrinks else b"".join(stored(piece))
        if shrinks:
            yield deflate.flush(zlib.Z_FULL_FLUSH)  # to the end of a byte, and nothing refers to it
    yield LAST + trailer(checksum, size)


def stored(data: bytes) -> Iterator[bytes | memoryview]:
    """Yield bytes as blocks that are stored as they are."""
    view = memoryview(data)
    for start in range(0, len(data), STORED):
        block = view[start : start + STORED]
        yield b"\0" + len(block).to_bytes(2, "little") + (len(block) ^ 0xFFFF).to_bytes(2, "little")
        yield block


def trailer(checksum: int, size: int) -> bytes:
    """Return what ends the file: the checksum and the size of the plain bytes."""
    return checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
