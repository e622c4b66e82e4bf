"""The steps of an async iterator, as many at once as are ready without waiting."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from types import coroutine
from typing import Any

__all__ = ["AsyncSteps"]


class AsyncSteps:
    """Encode the values of an async iterator, and hand over together those that are there before it waits for anything.

    A message for each of them would cost many times what they cost themselves.
    """

    def __init__(self, values: AsyncIterator[Any], encode: Callable[[Any], bytes]) -> None:
        self._values = aiter(values)
        self._next = self._values.__anext__ if inspect.isasyncgen(self._values) else self._next_of_any
        self._encode = encode
        self._step: Any = None  # the way to the next value, once it was begun
        self._awaited: Any = None  # what it waits for
        self._error: BaseException | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the iterator waits for something, and others get their turn by that."""
        return self._step is not None

    @coroutine
    def ready(self, most: int, size: int) -> Generator[Any, Any, list[bytes]]:
        """Return up to ``most`` values, or as many as have ``size`` bytes, and none at the end; only the first one is waited for.

        An error of the iterator, or of the encoding, is raised after the values before it were returned.
        """
        chunks: list[bytes] = []
        while self._error is None and len(chunks) < most and size > 0 and not (chunks and self._step):
            thrown, given = None, None
            if self._step:
                try:
                    given = yield self._awaited
                except (
                    BaseException
                ) as e:  # most often, that the task is cancelled: that is the iterator's to know
                    thrown = e
            try:
                chunk = self._walked(given, thrown)
            except StopAsyncIteration:
                self._step = None
                break
            except BaseException as e:
                self._step, self._error = None, e
                break
            if chunk is not None:
                chunks.append(chunk)
                size -= len(chunk)
        if self._error is not None and not chunks:
            raise self._error
        return chunks

    def _walked(self, given: Any, thrown: BaseException | None) -> bytes | None:
        """Go on until there is a value, encoded, or until the iterator waits: then there is none."""
        try:
            if self._step is None:
                self._step = self._next()
            self._awaited = self._step.send(given) if thrown is None else self._step.throw(thrown)
            return None
        except StopIteration as e:
            value = e.value
        self._step = None
        return self._encode(value)

    async def close(self) -> None:
        """Let the iterator clean up; what it waits for is cancelled."""
        if self._step is not None:
            if isinstance(self._awaited, asyncio.Future):
                self._awaited.cancel()
            with suppress(asyncio.CancelledError):
                await self.ready(1, 1)
        if inspect.isasyncgen(self._values):
            await self._values.aclose()

    async def _next_of_any(self) -> Any:
        return await self._values.__anext__()
