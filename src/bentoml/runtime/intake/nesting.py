"""How deep JSON is nested, found by its brackets alone."""

from __future__ import annotations

import re
from itertools import accumulate

__all__ = ["is_deeper"]

_STRINGS = re.compile(rb'"(?:[^"\\]+|\\.)*+"', re.DOTALL)
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")  # as signed bytes: in, out
_PAIR = b"\x01\xff"
_ROUNDS = 4


def is_deeper(text: bytes, limit: int) -> bool:
    """Say whether JSON has arrays and objects in one another more than ``limit`` deep; the text must be valid JSON.

    Most texts have too few brackets, which is quick to see. Brackets in strings are only told apart where it matters:
    somebody may hide a few levels behind them, but never more than the parser allows (200), which has read it before.
    """
    if len(text) <= limit or _count(text, b"[", limit) + _count(text, b"{", limit) <= limit:
        return False
    return _depth(text) > limit and _depth(_STRINGS.sub(b"", text)) > limit


def _count(text: bytes, bracket: bytes, limit: int) -> int:
    """Count a bracket up to one above ``limit``: removing looks for the next one, where ``count`` looks at each byte."""
    return len(text) - len(text.replace(bracket, b"", limit + 1))


def _depth(text: bytes) -> int:
    """Return the depth of the brackets of a text. Innermost pairs go first: it is the quickest way for wide texts."""
    steps = text.translate(_STEPS, _OTHERS)
    for depth in range(_ROUNDS):
        if not steps:
            return depth
        steps = steps.replace(_PAIR, b"")
    return _ROUNDS + max(accumulate(memoryview(steps).cast("b")), default=0)
