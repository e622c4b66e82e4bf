"""Pace: whether bytes come fast enough for whoever waits for them; one byte a minute keeps a connection open for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..exceptions import ServiceUnavailable

__all__ = ["PROGRESS", "USUAL", "Pace"]

PROGRESS = 1 << 16  # bytes that are worth another first attempt


@dataclass(frozen=True, slots=True)
class Pace:
    """The fewest bytes that have to come in a number of seconds of waiting."""

    least: int = 60_000
    seconds: float = 60.0

    def held(
        self, chunks: Iterable[bytes], host: str, clock: Callable[[], float] = time.monotonic
    ) -> Iterator[bytes]:
        """Yield chunks as they come from a host; the time that whoever takes them needs for them is not counted.

        Raises:
            ServiceUnavailable: they come more slowly than that.
        """
        waited, came, coming = 0.0, 0, iter(chunks)
        while True:
            began = clock()
            chunk = next(coming, None)
            waited += clock() - began
            if chunk is None:
                return
            came += len(chunk)
            if waited >= self.seconds:
                if came < self.least:
                    raise ServiceUnavailable(
                        f"`{host}` is too slow: only {came} bytes came in {waited:.1f} seconds"
                    )
                waited, came = 0.0, 0
            yield chunk


USUAL = Pace()
