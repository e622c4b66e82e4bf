"""How many bytes of bodies one worker keeps in memory, all requests together."""

from __future__ import annotations

from ...exceptions import ServiceUnavailable

__all__ = ["NoRoom", "Room"]


class NoRoom(ServiceUnavailable):
    """Say that a body has no room; another worker, or this one in a moment, may have some."""


class Room:
    """Have room for so many bytes; each request says how many it keeps, and in the end that it keeps none."""

    def __init__(self, size: float) -> None:
        self._left = size

    def change(self, before: int, now: int) -> None:
        """Note that a request keeps ``now`` bytes, and no longer ``before``.

        Raises:
            NoRoom: they are too many; they count all the same, until it keeps none.
        """
        self._left -= now - before
        if self._left < 0 and now > before:
            raise NoRoom("the server keeps too many long requests at once; try again in a moment")
