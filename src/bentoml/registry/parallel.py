"""Parallel: several transfers at a time; the first that fails ends them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed

from ..exceptions import BentoMLException

__all__ = ["Cancelled", "Flow", "in_parallel"]


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
    """Run tasks in up to so many threads; raise what the first one that failed raised, once all have ended."""
    with ThreadPoolExecutor(threads, "transfer") as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            flow.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
