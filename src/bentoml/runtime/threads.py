"""Bounded worker threads for the user's sync functions, with the cheapest way there and back that we know.

Jobs go in through a SimpleQueue. Results come back through a deque, and one ``call_soon_threadsafe`` wakes the event
loop for as many results as are there by then (half the price of an executor's future when the server is busy).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any

__all__ = ["WorkerThreads"]

Function = Callable[..., Any]
Future = asyncio.Future[Any]
Abandoned = Callable[[], None]
# Plain tuples: there is one of each for each request.
Job = tuple[Function, tuple[Any, ...], Future, Context, Abandoned | None]
Done = tuple[Future, Any, BaseException | None, Abandoned | None]


class WorkerThreads:
    """Run functions in at most ``count`` threads, in the order of their submission.

    A function whose future is cancelled before a thread took it never runs. Once it runs it keeps its thread until it
    returns; if nobody waits for its result any more by then, ``abandoned`` is called in the event loop.
    """

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop, *, name: str = "bentoml-api") -> None:
        self._count = count
        self._loop = loop
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: deque[Done] = deque()
        self._woken = False
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    def submit(self, function: Function, *args: Any, abandoned: Abandoned | None = None) -> Future:
        """Run ``function(*args)`` in a thread, in the caller's context variables; call this from the event loop."""
        future = self._loop.create_future()
        if self._unfinished >= len(self._threads) and len(self._threads) < self._count:
            self._start_thread()
        self._unfinished += 1
        self._jobs.put((function, args, future, copy_context(), abandoned))
        return future

    @property
    def waiting(self) -> bool:
        """Whether a job waits for a thread: one that could go on later should then step aside."""
        return not self._jobs.empty()

    def close(self, timeout: float = 5.0) -> None:
        """Let the threads end after their present jobs; what takes longer is left to the end of the process."""
        for _ in self._threads:
            self._jobs.put(None)
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, args, future, context, abandoned = job
            result, error = None, None
            if not future.cancelled():
                try:
                    result = context.run(function, *args)
                except BaseException as e:  # the boundary of the user's code: whoever awaits it gets it
                    error = e
            self._done.append((future, result, error, abandoned))
            del job, function, args, future, context, abandoned, result, error  # a request, kept while idle
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:  # the loop is closed: nobody waits any more
                    return

    def _deliver(self) -> None:
        self._woken = False  # before looking: a result that comes later wakes the loop again
        done = self._done
        while done:
            future, result, error, abandoned = done.popleft()
            self._unfinished -= 1
            if future.done():
                if abandoned is not None:
                    abandoned()
            elif error is not None:
                future.set_exception(_awaitable(error))
            else:
                future.set_result(result)


def _awaitable(error: BaseException) -> BaseException:
    """Return an error that a future may hold: StopIteration would end the coroutine, SystemExit the server."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the function raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped
