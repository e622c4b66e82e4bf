"""Unpacking: the bytes behind a compression, as a stream that never holds more than a piece of them."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from ...exceptions import BentoMLException
from .formats import Format
from .zstandard import decompressor

__all__ = ["Stream", "unpacked"]

_PIECE = 1 << 20
_MOST_MEMORY = 256 << 20  # of xz, whose files say how much they need


class Stream:
    """Bytes that come in pieces, read by number."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._waiting = memoryview(b"")

    def some(self, most: int) -> bytes:
        """Return up to ``most`` bytes; none at the end."""
        while not self._waiting:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._waiting = memoryview(piece)
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        return bytes(taken)

    def exactly(self, count: int) -> bytes:
        """Return so many bytes; fewer are an error."""
        return b"".join(self.pieces(count))

    def pieces(self, count: int) -> Iterator[bytes]:
        """Yield so many bytes in pieces; fewer are an error."""
        while count:
            piece = self.some(count)
            if not piece:
                raise BentoMLException("it ends before its end: it was cut off")
            count -= len(piece)
            yield piece


def unpacked(file: BinaryIO, format: Format) -> Iterator[bytes]:
    """Yield the content of a file in pieces of about 1 MiB at most.

    Raises:
        BentoMLException: it is damaged, ends too early, or something follows its end.
    """
    match format:
        case "xz":
            return _inflated(file, _xz, lzma.LZMAError, format)
        case "bz2":
            return _inflated(file, bz2.BZ2Decompressor, OSError, format)
        case "gz":
            return _inflated(file, _Gzip, zlib.error, format)
        case "zst":
            return _inflated(file, *decompressor(), format)
        case _:
            return iter(lambda: file.read(_PIECE), b"")


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)


class _Gzip:
    """Zlib's decompressor, with the interface of the others."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _inflated(
    file: BinaryIO, make: Callable[[], Any], error: type[Exception], format: Format
) -> Iterator[bytes]:
    """Yield the content of one or more compressed streams, one after the other."""
    inflater = make()
    try:
        while data := file.read(_PIECE):
            while data or not (inflater.needs_input or inflater.eof):
                if inflater.eof:
                    inflater = make()
                piece = inflater.decompress(data, _PIECE)
                data = inflater.unused_data if inflater.eof else b""
                if piece:
                    yield piece
    except (error, EOFError, MemoryError) as e:
        raise BentoMLException(f"its {format} compression is damaged: {e}") from e
    if not inflater.eof:
        raise BentoMLException("it ends before its end: it was cut off")
