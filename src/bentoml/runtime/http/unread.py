"""Answers that nobody reads: a client that takes nothing of one for too long loses its connection, and all that it holds."""

from __future__ import annotations

import asyncio

from .deadlines import Deadlines

__all__ = ["Unread", "Waiting"]


class Unread:
    """Watch what waits to be sent on one connection until ``end``; ``patience`` is for how many seconds none of it may leave."""

    def __init__(
        self,
        transport: asyncio.Transport,
        patience: float,
        deadlines: Deadlines,
        waiting: Waiting,
        loop: asyncio.AbstractEventLoop,
        *,
        more: int = 0,
    ) -> None:
        self._more = more  # bytes that wait besides what the transport has
        self._transport = transport
        self._patience = patience
        self._deadlines = deadlines
        self._waiting = waiting
        self._loop = loop
        self._left = transport.get_write_buffer_size()
        self.deadline = loop.time() + patience
        deadlines.add(self, loop)
        waiting.put(self, self._left + more)

    def expire(self) -> None:
        """Close the connection, unless some of what waited has left since the last look."""
        left = self._transport.get_write_buffer_size()
        if left >= self._left:
            self.cut()
        else:
            self._left = left
            self.deadline = self._loop.time() + self._patience
            self._waiting.put(self, left + self._more)

    def cut(self) -> None:
        """Close the connection, and let go of what waited."""
        self._transport.abort()

    def end(self) -> None:
        """Watch no more."""
        self._deadlines.remove(self)
        self._waiting.remove(self)


class Waiting:
    """Count what waits for the clients of one worker; where it is too much, those go that have kept theirs waiting longest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sizes: dict[Unread, int] = {}  # the oldest first
        self._total = 0

    def put(self, unread: Unread, size: int) -> None:
        """Note how many bytes wait on one connection."""
        self._total += size - self._sizes.get(unread, 0)
        self._sizes[unread] = size
        while self._total > self._limit and len(self._sizes) > 1:
            oldest = next(iter(self._sizes))
            self.remove(oldest)
            oldest.cut()

    def remove(self, unread: Unread) -> None:
        """Count a connection no more."""
        self._total -= self._sizes.pop(unread, 0)
