"""The deadlines of many things, watched over with one timer: arming one of its own for each would cost more than the thing."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Deadlines", "Timed"]

_LONGEST_WAIT = 1.0


class Timed(Protocol):
    """Something that must have come to an end, or must have asked for more time, by its deadline (of the loop's clock)."""

    deadline: float

    def expire(self) -> None:
        """Do what is to be done when it has not."""


class Deadlines:
    """Look at all that is open a few times within ``shortest`` seconds, so that none expires much too late."""

    def __init__(self, shortest: float) -> None:
        self._wait = min(_LONGEST_WAIT, max(shortest, 0.1) / 4)
        self._open: set[Timed] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, timed: Timed, loop: asyncio.AbstractEventLoop) -> None:
        """Watch over something until it is removed."""
        self._open.add(timed)
        if self._timer is None:
            self._timer = loop.call_later(self._wait, self._sweep, loop)

    def remove(self, timed: Timed) -> None:
        """Watch over it no more."""
        self._open.discard(timed)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._wait, self._sweep, loop) if self._open else None
        now = loop.time()
        for timed in [timed for timed in self._open if timed.deadline < now]:
            timed.expire()  # an error here leaves the others to the next sweep
