"""Progress of what moves many bytes: one line on a terminal, once it has taken a while; nothing where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ._output import size
from ._steps import is_quiet

__all__ = ["Progress", "progress"]

_PATIENCE = 2.0  # seconds after which it is worth a line
_INTERVAL = 0.1


class Progress:
    """Count bytes, and show how many of those that are expected are done."""

    def __init__(self, words: str, *, watched: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._words = words
        self._watched = watched
        self._clock = clock
        self._began = clock()
        self._next = self._began + _PATIENCE
        self._done = self._all = 0
        self._shown = 0

    def expect(self, count: int) -> None:
        """Expect more bytes."""
        self._all += count

    def add(self, count: int) -> None:
        """Count bytes that are done; a negative number takes some back."""
        self._done += count
        now = self._clock()
        if self._watched and now >= self._next:
            self._next = now + _INTERVAL
            self._show(now - self._began)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print(f"\r{' ' * self._shown}\r", end="", file=sys.stderr, flush=True)

    def _show(self, seconds: float) -> None:
        percent = 100 * self._done // self._all if self._all else 0
        line = f"{self._words}: {size(self._done)} of {size(self._all)} ({percent} %), {size(int(self._done / seconds))}/s"
        print(f"\r{line:<{self._shown}}", end="", file=sys.stderr, flush=True)
        self._shown = max(self._shown, len(line))


@contextmanager
def progress(words: str) -> Iterator[Progress]:
    """Show the progress of a block on stderr, if that is a terminal and `--quiet` was not given."""
    shown = Progress(words, watched=sys.stderr.isatty() and not is_quiet())
    try:
        yield shown
    finally:
        shown.clear()
