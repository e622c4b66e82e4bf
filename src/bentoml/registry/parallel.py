"""Parallel: several transfers at a time; the first that fails ends them all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from ..exceptions import BentoMLException

__all__ = ["Cancelled", "Flow", "in_parallel"]

_GRACE_SECONDS = 1.0


class Cancelled(BentoMLException):
    """Another transfer failed, so that this one was given up."""


class Flow:
    """What transfers tell of the bytes that they move: to ``told``, and whether they should still go on."""

    def __init__(self, told: Callable[[int], None] | None = None) -> None:
        self._told = told
        self.lock = threading.Lock()
        self._cancelled = threading.Event()

    def moved(self, count: int) -> None:
        """Count bytes that were moved; a negative number takes back what has to be moved again.

        Raises:
            Cancelled: there is no point in going on.
        """
        if self._cancelled.is_set():
            raise Cancelled("given up, as something else failed")
        if self._told is not None:
            with self.lock:
                self._told(count)

    def cancel(self) -> None:
        """Let the other transfers end at their next bytes."""
        self._cancelled.set()


def in_parallel(tasks: Iterable[Callable[[], None]], *, threads: int, flow: Flow) -> None:
    """Run tasks in up to so many threads; raise what the first one that failed raised, once all have ended.

    An interrupt is not kept waiting by a registry that says nothing: its threads are left to end with the process.
    """
    waiting, failed = deque(tasks), list[BaseException]()

    def work() -> None:
        while not failed:
            try:
                task = waiting.popleft()
            except IndexError:
                return
            try:
                task()
            except BaseException as e:  # raised again by who waits for the threads
                failed.append(e)
                flow.cancel()

    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(threads, len(waiting)))]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    except BaseException:
        flow.cancel()
        for worker in workers:
            worker.join(_GRACE_SECONDS / len(workers))
        raise
    if failed:
        raise failed[0]
