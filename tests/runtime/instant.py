"""An event loop on which nobody waits: its clock goes to the next moment at which something is to happen.

So a test may say what comes before what in seconds, however busy the machine is. Nothing may run in threads meanwhile.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["instant_loop", "run_instantly"]

T = TypeVar("T")


class _Moments(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class _InstantLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._moments = _Moments()
        super().__init__(self._moments)

    def time(self) -> float:
        return self._moments.now


def instant_loop() -> asyncio.AbstractEventLoop:
    """Return such a loop, as ``asyncio.Runner`` wants to be given one."""
    return _InstantLoop()


def run_instantly(work: Coroutine[Any, Any, T]) -> T:
    """Run something on such a loop."""
    with asyncio.Runner(loop_factory=instant_loop) as runner:
        return runner.run(work)
