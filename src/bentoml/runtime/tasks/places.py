"""How many tasks a worker may run: a canceled sync function keeps its place until it returns."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

__all__ = ["Place", "Places", "held"]


class Place:
    """The place of one task, held by the task and by the thread that runs its function."""

    def __init__(self, release: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._release = release
        self._loop = loop
        self._lock = threading.Lock()
        self._holders = 1
        self._done = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be the task that has the place."""
        token = _entered.set(self)
        try:
            yield
        finally:
            _entered.reset(token)

    def done(self) -> None:
        """Say, once or more, that the task needs its place no longer."""
        if not self._done:
            self._done = True
            if self._left():
                self._release()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Hold the place in a thread."""
        with self._lock:
            self._holders += 1
        try:
            yield
        finally:
            if self._left():
                with suppress(RuntimeError):  # the loop is closed: nobody counts any more
                    self._loop.call_soon_threadsafe(self._release)

    def _left(self) -> bool:
        with self._lock:
            self._holders -= 1
            return self._holders == 0


_entered: ContextVar[Place | None] = ContextVar("bentoml.task_place", default=None)


class Places:
    """Count the places that are free; ``freed`` is called when there is one more."""

    def __init__(self, number: int, freed: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self.free = number
        self._freed = freed
        self._loop = loop

    def take(self) -> Place:
        """Return one of the free places."""
        self.free -= 1
        return Place(self._release, self._loop)

    def _release(self) -> None:
        self.free += 1
        self._freed()


def held(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for threads, which holds the place of its task while it runs."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        place = _entered.get()
        if place is None:
            return function(*args, **kwargs)
        with place.used():
            return function(*args, **kwargs)

    return call
