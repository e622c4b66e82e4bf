"""Changes of bytes that a decoder takes into bytes that it may not."""

from __future__ import annotations

from random import Random

from tests.fuzz.targets import WORDS

__all__ = ["mutated"]

_MOST = 6  # changes at once
_LONGEST = 1 << 14


def mutated(data: bytes, dice: Random) -> bytes:
    """Return bytes after a few random changes."""
    for _ in range(dice.randint(1, _MOST)):
        data = _changed(data, dice)[:_LONGEST]
    return data


def _changed(data: bytes, dice: Random) -> bytes:
    start = dice.randint(0, len(data))
    end = min(len(data), start + dice.choice((0, 1, 1, 2, 4, 16, 64)))
    match dice.randrange(6):
        case 0:
            return data[:start] + data[end:]
        case 1:
            return data[:start] + dice.choice(WORDS) + data[end:]
        case 2:
            return data[:start] + dice.randbytes(end - start) + data[end:]
        case 3:
            return data[:end] + data[start:]
        case 4:
            return data[:start] + data[start:end] * dice.choice((2, 3, 100)) + data[end:]
        case _:
            other = dice.randint(0, len(data))
            return data[:start] + data[other : other + 64] + data[end:]
