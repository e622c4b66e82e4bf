"""The steps of an async iterator, as many at once as are ready without waiting."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable, Generator
from contextlib import suppress
from types import coroutine
from typing import Any

__all__ = ["AsyncSteps"]

_NOTHING = object()  # what an iterator that does not wait waits for


class AsyncSteps:
    """Encode the values of an async iterator, and hand over together those that are there before it waits for anything.

    A message for each of them would cost many times what they cost themselves.
    """

    def __init__(self, values: AsyncIterable[Any], encode: Callable[[Any], bytes]) -> None:
        self._values = values
        self._chunks: list[bytes] = []
        self._most = self._room = 0
        self._walk = self._walked(encode)  # which is sent on by hand, to see where it waits
        self._awaited: Any = _NOTHING
        self._has_ended = False
        self._error: BaseException | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the iterator waits for something, and others get their turn by that."""
        return self._awaited is not _NOTHING

    @coroutine
    def ready(self, most: int, size: int) -> Generator[Any, Any, list[bytes]]:
        """Return up to ``most`` values, or as many as have ``size`` bytes, and none at the end; only the first one is waited for.

        An error of the iterator, or of the encoding, is raised after the values before it were returned.
        """
        self._most, self._room = most, size
        chunks = self._chunks
        while not (self._has_ended or (chunks and self.is_waiting)):
            thrown, given = None, None
            if self.is_waiting:
                try:
                    given = yield self._awaited
                except BaseException as e:  # most often a cancellation: that is the iterator's to know
                    thrown = e
            self._go_on(given, thrown)
            if not self.is_waiting:
                break
        if self._error is not None and not chunks:
            raise self._error
        found = chunks[:]
        chunks.clear()
        return found

    def _go_on(self, given: Any, thrown: BaseException | None) -> None:
        """Walk until the iterator waits, enough values are there, or it ends."""
        try:
            self._awaited = self._walk.send(given) if thrown is None else self._walk.throw(thrown)
            return
        except StopIteration:
            pass
        except BaseException as e:
            self._error = e
        self._awaited = _NOTHING
        self._has_ended = True

    async def _walked(self, encode: Callable[[Any], bytes]) -> None:
        chunks = self._chunks
        async for value in self._values:
            chunks.append(chunk := encode(value))
            self._room -= len(chunk)
            if self._room <= 0 or len(chunks) >= self._most:
                await _pause()

    async def close(self) -> None:
        """Let the iterator clean up; what it waits for is cancelled."""
        if self.is_waiting:
            if isinstance(self._awaited, asyncio.Future):
                self._awaited.cancel()
            with suppress(asyncio.CancelledError):
                await self.ready(1, 1)
        self._walk.close()
        if inspect.isasyncgen(self._values):
            await self._values.aclose()


@coroutine
def _pause() -> Generator[object, None, None]:
    yield _NOTHING
