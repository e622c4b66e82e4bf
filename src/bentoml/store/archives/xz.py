"""Xz, written such that what does not shrink is stored as it is, which costs next to nothing.

LZMA2 has chunks that are not compressed; liblzma makes some only after having tried. The container is written here: the
XZ file format, version 1.2.1, and LZMA2 as its reference decoder reads it. Any xz reads it.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterable, Iterator

from .blocks import runs

__all__ = ["xz"]

_PRESET = 1
_DICTIONARY = 1 << 20
_DICTIONARY_CODE = 16  # how a block header says 1 MiB
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": _PRESET, "dict_size": _DICTIONARY}]
_MAGIC, _MAGIC_END = b"\xfd7zXZ\0", b"YZ"
_FLAGS = b"\0\x01"  # CRC32
_STORED = 1 << 16  # bytes of a stored chunk, at most
_STORED_FIRST, _STORED_NEXT = b"\x01", b"\x02"  # the first one forgets the dictionary
_END = b"\0"


def xz(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the .xz file of these bytes."""
    block = _with_checksum(b"\x02\0\x21\x01" + bytes([_DICTIONARY_CODE]) + bytes(3))
    yield _MAGIC + _with_checksum(_FLAGS) + block
    size = packed = checksum = 0
    for shrinks, pieces in runs(chunks):
        segment = _Segment(shrinks)
        for piece in pieces:
            size += len(piece)
            checksum = zlib.crc32(piece, checksum)
            for data in segment.add(piece):
                packed += len(data)
                yield data
        data = segment.end()
        packed += len(data)
        yield data
    packed += len(_END)
    yield _END + bytes(-packed % 4) + checksum.to_bytes(4, "little")
    yield _tail(len(block) + packed + 4, size)


class _Segment:
    """A run of blocks as LZMA2 chunks, without the mark of the end."""

    def __init__(self, shrinks: bool) -> None:
        self._control = _STORED_FIRST
        self._lzma = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=_FILTERS) if shrinks else None

    def add(self, block: bytes) -> Iterator[bytes]:
        if self._lzma is not None:
            yield self._lzma.compress(block)
            return
        view, parts = memoryview(block), list[bytes | memoryview]()
        for start in range(0, len(block), _STORED):
            piece = view[start : start + _STORED]
            parts += [self._control, (len(piece) - 1).to_bytes(2, "big"), piece]
            self._control = _STORED_NEXT
        yield b"".join(parts)

    def end(self) -> bytes:
        return b"" if self._lzma is None else self._lzma.flush()[: -len(_END)]


def _tail(unpadded: int, size: int) -> bytes:
    """Return the index, which says how large the one block is, and the footer."""
    records = b"\0\x01" + _number(unpadded) + _number(size)
    index = _with_checksum(records + bytes(-len(records) % 4))
    footer = (len(index) // 4 - 1).to_bytes(4, "little") + _FLAGS
    return index + zlib.crc32(footer).to_bytes(4, "little") + footer + _MAGIC_END


def _with_checksum(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


def _number(value: int) -> bytes:
    """Return a number in sevens of bits, the lowest first, each but the last with its highest bit set."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
