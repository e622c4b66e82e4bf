"""Resources: how amounts of processor, memory and accelerators are written."""

from __future__ import annotations

import re

__all__ = ["parse_cpu", "parse_gpu", "parse_memory", "parse_size"]

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)(i?)(B?)\Z", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def parse_cpu(value: object) -> float:
    """Return cores: a number, ``"2"`` or thousandths as in ``"200m"``."""
    if isinstance(value, str) and value.endswith("m"):
        return _positive(value[:-1]) / 1000
    return _positive(value)


def parse_memory(value: object) -> int:
    """Return bytes: ``"512Mi"``, ``"500MiB"``, ``"4GiB"``, ``"4G"``, ``"2GB"``, or a plain number of GiB."""
    if not isinstance(value, str):
        return int(_positive(value) * 1024**3)
    match = _MEMORY.match(value.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError
    number, unit, binary, bytes_ = match.groups()
    if not unit and not bytes_:
        return int(_positive(number) * 1024**3)
    return int(_positive(number) * (1024 if binary else 1000) ** _POWERS[unit.upper()])


def parse_size(value: object) -> int:
    """Return bytes: ``"10MiB"``, ``"4GB"``, ``"512"``, or a plain number of bytes."""
    if isinstance(value, str):
        text = value.strip()
        return parse_memory(f"{text}B" if text[-1:].isdigit() else text)
    size = _positive(value)
    if size != int(size):
        raise ValueError
    return int(size)


def parse_gpu(value: object) -> float:
    """Return accelerators: a number, also as a string; more than one only in whole numbers."""
    number = _positive(value)
    if number > 1 and number != int(number):
        raise ValueError
    return number


def _positive(value: object) -> float:
    """Return a number above zero; anything else is a ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError
    return number
