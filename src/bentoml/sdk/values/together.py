"""The steps of a stream that travel together: one message for them all, and still a chunk for each of them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Steps", "together"]


class Steps(bytes):
    """The bytes of several steps, for whoever does not ask what the ``parts`` are."""

    parts: Sequence[bytes]


def together(steps: list[bytes]) -> bytes:
    """Return steps as the bytes of one message."""
    if len(steps) == 1:
        return steps[0]
    whole = Steps(b"".join(steps))
    whole.parts = steps
    return whole
