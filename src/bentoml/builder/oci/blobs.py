"""Blobs that lie in files, and the check that goes with what comes from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ...exceptions import BentoMLException
from ...store.digest import Digest
from .codec import decompressed
from .model import Blob

__all__ = ["CheckedBlob", "FileBlob", "PlainBlob", "writing"]

_CHUNK = 1 << 20


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Say which place could not be written: a full disk's own error does not.

    Raises:
        BentoMLException: the block raised an OSError.
    """
    try:
        yield
    except OSError as e:
        raise BentoMLException(f"cannot write to `{place}`: {e.strerror or e}") from e


class FileBlob(NamedTuple):
    """A file, or ``size`` bytes of it from ``start`` on."""

    path: Path
    start: int = 0
    size: int | None = None

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes.

        Raises:
            BentoMLException: the file cannot be read.
        """
        left = self.size
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.start)
                while data := file.read(_CHUNK if left is None else min(_CHUNK, left)):
                    if left is not None:
                        left -= len(data)
                    yield data
        except OSError as e:
            raise BentoMLException(f"cannot read `{self.path}`: {e.strerror}") from e


class CheckedBlob(NamedTuple):
    """A blob whose digest is compared when its last byte has been read; ``name`` says what it is in the error."""

    source: Blob
    digest: Digest
    name: str

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes.

        Raises:
            BentoMLException: they have another digest.
        """
        state = hashlib.sha256()
        for data in self.source.chunks():
            state.update(data)
            yield data
        if state.hexdigest() != self.digest.hex:
            raise BentoMLException(f"`{self.name}` is damaged: it has not the digest `{self.digest}`")


class PlainBlob(NamedTuple):
    """A blob without its compression, if it has one."""

    source: Blob

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes."""
        return decompressed(self.source.chunks())
