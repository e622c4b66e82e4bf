"""Nearest: which known name somebody may have meant who wrote another one."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["nearest"]


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is most like ``name``; None where none is like it."""
    import difflib  # only a mistake needs it, and every worker would carry it

    return next(iter(difflib.get_close_matches(name, known, n=1)), None)
