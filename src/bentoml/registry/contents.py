"""Contents: the bytes of layers on their way out, read from the files of an item when they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..exceptions import BentoMLException
from ..store.digest import Digest
from .artifact import Piece
from .bundle import pack
from .documents import Descriptor
from .memory import Memory

__all__ = ["Bytes", "Content", "content_of", "described"]

_CHUNK = 1 << 20


class Content(Protocol):
    """Give bytes piece by piece; may be asked again, for an upload that has to be taken up."""

    def chunks(self, start: int, size: int) -> Iterator[bytes]:
        """Yield ``size`` bytes from ``start`` on."""
        ...


@dataclass(frozen=True, slots=True)
class Bytes:
    """Content that is held in memory."""

    data: bytes

    def chunks(self, start: int, size: int) -> Iterator[bytes]:
        """Yield the bytes at once."""
        yield self.data[start : start + size]


@dataclass(frozen=True, slots=True)
class _FilePart:
    path: Path
    start: int

    def chunks(self, start: int, size: int) -> Iterator[bytes]:
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.start + start)
                while size and (data := file.read(min(_CHUNK, size))):
                    size -= len(data)
                    yield data
        except OSError as e:
            raise BentoMLException(f"cannot read `{self.path}`: {e.strerror}") from e
        if size:
            raise BentoMLException(f"`{self.path}` has become shorter while it was read")


@dataclass(frozen=True, slots=True)
class _Bundle:
    folder: Path
    piece: Piece

    def chunks(self, start: int, size: int) -> Iterator[bytes]:
        yield pack(self.folder, self.piece.entries)[start : start + size]


def content_of(folder: Path, piece: Piece) -> Content:
    """Return the bytes of a piece of the item in ``folder``."""
    if piece.is_bundle:
        return _Bundle(folder, piece)
    return _FilePart(folder / piece.entries[0].path, piece.start)


def described(folder: Path, piece: Piece, memory: Memory) -> Descriptor:
    """Return the descriptor of a piece. A whole file is not read for it; that of a shard is remembered."""
    if piece.is_bundle:
        data = pack(folder, piece.entries)
        return piece.descriptor(Digest.of(data), len(data))
    entry = piece.entries[0]
    if not piece.is_shard:
        return piece.descriptor(entry.digest, entry.size)
    key = ["shard", entry.digest.hex, piece.start, piece.size]
    known = memory.recall(key)
    if known is None:
        known = str(_digest_of(content_of(folder, piece), piece.size))
        memory.remember(key, known)
    return piece.descriptor(Digest.parse(known), piece.size)


def _digest_of(content: Content, size: int) -> Digest:
    state = hashlib.sha256()
    for chunk in content.chunks(0, size):
        state.update(chunk)
    return Digest(state.hexdigest())
