"""Contents: the bytes of layers on their way out, read from the files of an item when they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from ..exceptions import BentoMLException
from ..store.digest import Digest
from ..store.tree import Entry
from .artifact import Layer, Piece
from .bundle import pack
from .memory import Memory

__all__ = ["Bytes", "Content", "content_of", "described"]

_CHUNK = 1 << 20


class Content(Protocol):
    """Give bytes piece by piece; may be asked again, for an upload that has to be taken up."""

    def chunks(self, start: int, size: int) -> Iterator[bytes]:
        """Yield ``size`` bytes from ``start`` on."""
        ...


class Bytes(NamedTuple):
    """Content that is held in memory."""

    data: bytes

    def chunks(self, start: int, size: int) -> Iterator[bytes]:
        """Yield the bytes at once."""
        yield self.data[start : start + size]


class _FilePart(NamedTuple):
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


class _Bundle(NamedTuple):
    folder: Path
    piece: Piece

    def chunks(self, start: int, size: int) -> Iterator[bytes]:
        yield pack(self.folder, self.piece.entries)[start : start + size]


def content_of(folder: Path, piece: Piece) -> Content:
    """Return the bytes of a piece of the item in ``folder``."""
    if piece.is_bundle:
        return _Bundle(folder, piece)
    return _FilePart(folder / piece.entries[0].path, piece.start)


def described(folder: Path, pieces: Iterable[Piece], memory: Memory) -> list[Layer]:
    """Return the layers of pieces. Whole files are not read for it; the digests of shards are remembered.

    Raises:
        BentoMLException: a file that has to be read cannot be, or is damaged.
    """
    shards: dict[Entry, Iterator[Digest]] = {}
    layers = []
    for piece in pieces:
        entry, size = piece.entries[0], piece.size
        if piece.is_bundle:
            data = pack(folder, piece.entries)
            digest, size = Digest.of(data), len(data)
        elif piece.is_shard:  # the first of a file is as large as all but its last
            known = shards.get(entry) or _shard_digests(folder / entry.path, entry, size, memory)
            digest = next(shards.setdefault(entry, known))
        else:
            digest = entry.digest
        layers.append(Layer(piece.descriptor(digest, size), piece))
    return layers


def _shard_digests(file: Path, entry: Entry, size: int, memory: Memory) -> Iterator[Digest]:
    key: list[object] = ["shards", entry.digest.hex, size]
    known = memory.recall(key)
    if known is None:
        known = " ".join(_read_digests(file, entry, size))
        memory.remember(key, known)
    return map(Digest, known.split())


def _read_digests(file: Path, entry: Entry, size: int) -> list[str]:
    """Return the digests of each ``size`` bytes of a file, which is read once, and is what it should be."""
    whole, found = hashlib.sha256(), []
    for start in range(0, entry.size, size):
        part = hashlib.sha256()
        for chunk in _FilePart(file, start).chunks(0, min(size, entry.size - start)):
            whole.update(chunk)
            part.update(chunk)
        found.append(part.hexdigest())
    if whole.hexdigest() != entry.digest.hex:
        raise BentoMLException(f"`{file}` is damaged: it has other content than what was stored")
    return found
