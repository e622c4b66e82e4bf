"""Blocks: the bytes of an archive in pieces of one size, and which of them are worth compressing.

Weights are not: they cost a second for every few megabytes and give back a tenth at best. Whether a block is, follows from
its content alone, so that equal archives stay equal.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby

__all__ = ["SIZE", "blocks", "runs", "shrinks"]

SIZE = 1 << 20
_SAMPLE = 4096
_SAMPLES = 4
_WORTH = 0.6  # of its size is what a sample must shrink to


def runs(chunks: Iterable[bytes]) -> Iterator[tuple[bool, Iterator[bytes]]]:
    """Yield runs of blocks that shrink, or do not: each to be read before the next."""
    return groupby(blocks(chunks), key=shrinks)


def blocks(chunks: Iterable[bytes], size: int = SIZE) -> Iterator[bytes]:
    """Cut a stream into blocks of exactly ``size`` bytes (the last may be shorter), however it came."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        start = 0
        while len(waiting) - start >= size:
            yield bytes(waiting[start : start + size])
            start += size
        del waiting[:start]
    if waiting:
        yield bytes(waiting)


def shrinks(block: bytes) -> bool:
    """Say whether a block is worth compressing."""
    step = max(len(block) // _SAMPLES, 1)
    sample = b"".join(block[start : start + _SAMPLE] for start in range(0, len(block), step))
    return len(zlib.compress(sample, 1)) < _WORTH * len(sample)
