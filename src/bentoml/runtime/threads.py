"""Bounded worker threads for the user's sync functions, with the cheapest way there and back that we know.

Jobs go in through a SimpleQueue. Results come back through a deque, and one ``call_soon_threadsafe`` wakes the event
loop for as many results as are there by then (half the price of an executor's future when the server is busy).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any

__all__ = ["Job", "WorkerThreads"]


class Job:
    """One call of a function in a worker thread; ``future`` gives its result to the event loop.

    A job whose future is cancelled before a thread took it never runs. Once it runs it keeps its thread until the
    function returns, and ``abandoned`` is called in the loop if nobody waits for the result any more.
    """

    __slots__ = ("abandoned", "args", "context", "error", "function", "future", "result")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        future: asyncio.Future[Any],
        context: Context,
        abandoned: Callable[[], None] | None,
    ) -> None:
        self.function = function
        self.args = args
        self.future = future
        self.context = context
        self.abandoned = abandoned
        self.result: Any = None
        self.error: BaseException | None = None


class WorkerThreads:
    """Run functions in at most ``count`` threads, in the order of their submission."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop, *, name: str = "bentoml-api") -> None:
        self._count = count
        self._loop = loop
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: deque[Job] = deque()
        self._woken = False
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    def submit(
        self, function: Callable[..., Any], *args: Any, abandoned: Callable[[], None] | None = None
    ) -> asyncio.Future[Any]:
        """Run ``function(*args)`` in a thread, in the caller's context variables; call this from the event loop."""
        future = self._loop.create_future()
        if self._unfinished >= len(self._threads) and len(self._threads) < self._count:
            self._start_thread()
        self._unfinished += 1
        self._jobs.put(Job(function, args, future, copy_context(), abandoned))
        return future

    @property
    def waiting(self) -> bool:
        """Whether a job waits for a thread: one that could go on later should then step aside."""
        return not self._jobs.empty()

    def close(self, timeout: float = 5.0) -> None:
        """Let the threads end after their present job; one that does not end in time is left to the process's end."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(timeout)

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.future.cancelled():
                try:
                    job.result = job.context.run(job.function, *job.args)
                except (
                    BaseException
                ) as e:  # the boundary of the user's code: whoever awaits the future gets it
                    job.error = e
            self._done.append(job)
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
            job = done.popleft()
            self._unfinished -= 1
            future = job.future
            if future.done():
                if job.abandoned is not None:
                    job.abandoned()
            elif job.error is not None:
                future.set_exception(_awaitable(job.error))
            else:
                future.set_result(job.result)


def _awaitable(error: BaseException) -> BaseException:
    """Return an error that a future can hold: StopIteration would end the coroutine that awaits it."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError("the function raised StopIteration")
    wrapped.__cause__ = error
    return wrapped
