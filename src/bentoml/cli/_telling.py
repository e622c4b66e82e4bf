"""Telling how a long command gets on: its steps, and the bytes that move in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from ._progress import Progress, progress
from ._steps import step

__all__ = ["Telling"]


class Telling:
    """A `step` for what comes one after the other, which watches the bytes of the one that is going on."""

    def __init__(self, show: Callable[[str], AbstractContextManager[Progress]] = progress) -> None:
        self._show = show
        self._shown: Progress | None = None

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        """Say what is going on once it has gone on for a while, and on a terminal how many bytes have moved."""
        with step(words), self._show(words) as self._shown:
            try:
                yield
            finally:
                self._shown = None

    def expect(self, count: int) -> None:
        """Expect more bytes."""
        if self._shown is not None:
            self._shown.expect(count)

    def add(self, count: int) -> None:
        """Count bytes that are done."""
        if self._shown is not None:
            self._shown.add(count)
