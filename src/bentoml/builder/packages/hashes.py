"""Hashes that a requirement itself gives: a lock holds no others for that package."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...exceptions import BentoMLException

__all__ = ["with_declared_hashes", "without_hashes"]

_HASH = re.compile(r"--hash[=\s]\s*(\S+)")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def with_declared_hashes(requirements: Iterable[str], pins: str) -> str:
    """Return pinned requirements, of which those whose requirement gives hashes keep only these.

    A resolver takes what the index says; what the project's author has checked goes before it.

    Raises:
        BentoMLException: a package has none of the hashes given for it.
    """
    declared: dict[str, set[str]] = {}
    for line in requirements:
        if hashes := _HASH.findall(line):  # a lock may name a package once for each platform
            declared.setdefault(_name(line), set()).update(hashes)
    if not declared:
        return pins
    return "".join(_restricted(block, declared.get(_name(block))) for block in _blocks(pins))


def without_hashes(line: str) -> str:
    """Return a requirement line without its hashes."""
    return " ".join(_HASH.sub("", line).split())


def _restricted(block: str, declared: set[str] | None) -> str:
    if declared is None:
        return block
    pin = block.split()[0]
    kept = [found for found in _HASH.findall(block) if found in declared]
    if not kept:
        raise BentoMLException(
            f"`{pin}` has none of the hashes that the requirements give for it; either the package was changed or they "
            "are wrong: compare them with those of its index"
        )
    return " \\\n".join([pin, *(f"    --hash={found}" for found in kept)]) + "\n"


def _blocks(pins: str) -> list[str]:
    return re.findall(r"^\S.*\n(?:[ \t].*\n)*", pins, re.MULTILINE)


def _name(line: str) -> str:
    match = _NAME.match(line)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""
