"""Watching how far an export or import is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

__all__ = ["Unwatched", "Watch", "counted"]


class Watch(Protocol):
    """Be told how many bytes are to come, and of those that are done."""

    def expect(self, count: int) -> None:
        """Expect more bytes."""
        ...

    def add(self, count: int) -> None:
        """Count bytes that are done."""
        ...


class Unwatched:
    """Nobody watches."""

    def expect(self, count: int) -> None:
        """Do nothing."""

    def add(self, count: int) -> None:
        """Do nothing."""


def counted(pieces: Iterable[bytes], watch: Watch) -> Iterator[bytes]:
    """Yield the pieces, and count each once it was used."""
    for piece in pieces:
        yield piece
        watch.add(len(piece))
