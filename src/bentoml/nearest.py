"""Nearest: which known name somebody may have meant who wrote another one."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["nearest"]

_SHORT = 2  # letters say too little


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that ``name`` begins, or is most like; None where none is like it."""
    import difflib  # only a mistake needs it, and every worker would carry it

    begun = [one for one in known if len(name) > _SHORT and one.startswith(name)]
    return min(begun, key=len) if begun else next(iter(difflib.get_close_matches(name, known, n=1)), None)
