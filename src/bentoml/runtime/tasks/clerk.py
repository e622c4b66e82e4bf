"""The one thread of a process that speaks to its queue: many wishes are granted in one transaction, and idling is cheap."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar, cast

from .queue import TaskQueue, TaskStoreError

__all__ = ["Clerk"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_POLL = 0.2  # seconds until a task that another process was given is seen here
_TEND = 1.0
_TOGETHER = 500  # wishes in one transaction
_SAY_AGAIN = 60.0


class _Wish(NamedTuple):
    what: Callable[[TaskQueue], Any]
    writes: bool
    future: asyncio.Future[Any]


class Clerk:
    """Grant the wishes of an event loop; ``news()`` is called there when the queue may have something to do."""

    def __init__(self, queue: TaskQueue, news: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._queue = queue
        self._news = news
        self._loop = loop
        self._wishes: SimpleQueue[_Wish | None] = SimpleQueue()
        self._tended = 0.0
        self._complained = 0.0
        self._thread = threading.Thread(target=self._work, name="bentoml-tasks", daemon=True)
        self._thread.start()

    async def read(self, what: Callable[[TaskQueue], T]) -> T:
        """Return what the queue answers.

        Raises:
            TaskStoreError: the queue cannot be read.
        """
        return cast(T, await self._wish(what, False))

    async def write(self, what: Callable[[TaskQueue], T]) -> T:
        """Change the queue; what is returned is on the disk.

        Raises:
            TaskStoreError: nothing was changed.
        """
        return cast(T, await self._wish(what, True))

    def close(self) -> None:
        """Grant the wishes that are left and close the queue."""
        self._wishes.put(None)
        self._thread.join()
        self._queue.close()

    def _wish(self, what: Callable[[TaskQueue], Any], writes: bool) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        self._wishes.put(_Wish(what, writes, future))
        return future

    def _work(self) -> None:
        while True:
            wishes = self._next()
            if last := None in wishes:
                wishes.remove(None)
            if wishes:
                self._tell(self._deliver, self._granted([w for w in wishes if w is not None]))
            if last:
                return
            self._look_around(idle=not wishes)

    def _next(self) -> list[_Wish | None]:
        """Wait for wishes; return all that are there, none if there is none for a while."""
        wishes: list[_Wish | None] = []
        with suppress(Empty):
            wishes.append(self._wishes.get(timeout=_POLL))
            while len(wishes) < _TOGETHER and wishes[-1] is not None:
                wishes.append(self._wishes.get_nowait())
        return wishes

    def _granted(self, wishes: list[_Wish]) -> list[tuple[asyncio.Future[Any], Any, Exception | None]]:
        try:
            with self._queue.together(writes=any(wish.writes for wish in wishes)):
                answers = [wish.what(self._queue) for wish in wishes]
        except Exception as e:  # the boundary of the thread: whoever awaits the wish gets it
            return [(wish.future, None, e) for wish in wishes]
        return [(wish.future, answer, None) for wish, answer in zip(wishes, answers, strict=True)]

    def _look_around(self, *, idle: bool) -> None:
        """See what other processes did and what the clock asks for; problems are logged, now and then."""
        now = time.monotonic()
        due = now > self._tended + _TEND
        try:
            news = (idle or due) and self._queue.changed()
            if due:
                self._tended = now
                news = self._queue.tend() or news
        except TaskStoreError as e:
            if now > self._complained + _SAY_AGAIN:
                self._complained = now
                logger.error("%s", e)
            return
        if news:
            self._tell(self._news)

    def _deliver(self, granted: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
        for future, answer, error in granted:
            if future.done():
                continue
            if error is None:
                future.set_result(answer)
            else:
                future.set_exception(error)

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(what, *arguments)
