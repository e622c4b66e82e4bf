"""Free memory: what requests leave in the allocator's hands goes back to the system once nobody is being answered."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["FreeMemory", "give_back"]


def give_back() -> None:
    """Give the free memory of this process back, in about a millisecond; allocators other than glibc's do it themselves."""
    import ctypes  # most processes that come here have it already, by numpy

    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


class FreeMemory:
    """Say when to give memory back: at a quiet moment, if there were requests since the last time."""

    def __init__(self, give_back: Callable[[], None] = give_back) -> None:
        self._give_back = give_back
        self._requests = 0

    def pulse(self, requests: int, *, busy: bool) -> None:
        """Look now and then: ``requests`` were begun in the life of the process, and one is being answered if ``busy``."""
        if not busy and requests != self._requests:
            self._requests = requests
            self._give_back()
