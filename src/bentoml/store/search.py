"""Search: which items have the labels and metadata that somebody asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["has_labels", "has_metadata"]


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    """Say whether all wanted labels are there, each with its value; None stands for any value."""
    return all(
        key in labels and (value is None or str(labels[key]) == str(value)) for key, value in wanted.items()
    )


def has_metadata(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether all wanted values are there; None stands for any value, ``a.b`` for ``b`` in the mapping ``a``.

    A text also means what it reads like: ``"0.9"`` is the number, ``"true"`` is true, ``"null"`` is none.
    """
    return all(
        any(value is None or _means(found, value) for found in _at(metadata, key))
        for key, value in wanted.items()
    )


def _at(metadata: Mapping[str, Any], key: str) -> list[Any]:
    """Return what stands under a key, as it is or as a path; a list of one, or an empty one."""
    if key in metadata:
        return [metadata[key]]
    first, dot, rest = key.partition(".")
    inner = metadata.get(first)
    return _at(inner, rest) if dot and isinstance(inner, Mapping) else []


def _means(found: object, wanted: object) -> bool:
    if not isinstance(wanted, str) or isinstance(found, str):
        return bool(found == wanted)
    match found:
        case None:
            return wanted == "null"
        case bool():
            return wanted.lower() == str(found).lower()
        case int() | float():
            try:
                return float(wanted) == found
            except ValueError:
                return False
    return str(found) == wanted
