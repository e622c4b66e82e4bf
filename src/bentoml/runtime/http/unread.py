"""Answers that nobody reads: a client that takes nothing of one for too long loses its connection, and all that it holds."""

from __future__ import annotations

import asyncio

from .deadlines import Deadlines

__all__ = ["Unread"]


class Unread:
    """Watch what waits to be sent on one connection until ``end``; ``patience`` is for how many seconds none of it may leave."""

    def __init__(
        self,
        transport: asyncio.Transport,
        patience: float,
        deadlines: Deadlines,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._transport = transport
        self._patience = patience
        self._deadlines = deadlines
        self._loop = loop
        self._left = transport.get_write_buffer_size()
        self.deadline = loop.time() + patience
        deadlines.add(self, loop)

    def expire(self) -> None:
        """Close the connection, unless some of what waited has left since the last look."""
        left = self._transport.get_write_buffer_size()
        if left >= self._left:
            self._transport.abort()
        else:
            self._left = left
            self.deadline = self._loop.time() + self._patience

    def end(self) -> None:
        """Watch no more."""
        self._deadlines.remove(self)
