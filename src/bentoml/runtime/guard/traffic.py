"""How many requests are being answered at once, and until when each of them may take."""

from __future__ import annotations

import asyncio
import math
from time import perf_counter
from typing import Any, Protocol

__all__ = ["Traffic"]


class Waiting(Protocol):
    """A request whose answer has not begun; ``started`` is of ``perf_counter``."""

    started: float

    def expire(self) -> None: ...


class Traffic:
    """Count requests against a limit and end those that wait too long, with one timer for all of them.

    All requests of a service have the same timeout, so they run out in the order of their arrival: the timer stands
    at the end of the oldest one that still waits, and costs nothing for each of the others.
    """

    def __init__(self, *, timeout: float, limit: int | None, loop: asyncio.AbstractEventLoop) -> None:
        self.timeout = timeout
        self.limit = math.inf if limit is None else limit
        self.count = 0  # at the limit, another request would be one too many
        self._loop = loop
        self._waiting: dict[Waiting, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, call: Waiting) -> None:
        """Take a place; ``call.expire()`` is called if the answer has not begun within the timeout."""
        self.count += 1
        self._waiting[call] = None
        if self._timer is None:
            self._timer = self._loop.call_later(self.timeout, self._sweep)

    def begun(self, call: Waiting) -> None:
        """Note that the answer begins: it may now take as long as it likes (a stream)."""
        self._waiting.pop(call, None)

    def leave(self, call: Waiting) -> None:
        """Give the place back."""
        self.count -= 1
        self._waiting.pop(call, None)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = None
        now = perf_counter()
        late: list[Any] = []
        for call in self._waiting:
            end = call.started + self.timeout
            if end > now:
                self._timer = self._loop.call_later(end - now, self._sweep)
                break
            late.append(call)
        for call in late:
            del self._waiting[call]
            call.expire()
