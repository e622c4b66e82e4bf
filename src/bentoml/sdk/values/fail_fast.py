"""Validators for large bodies: they stop at the first wrong item of a list or an object.

An ordinary validator tells of every wrong item. In a body of a few megabytes that can be a million errors, which take a
hundred times the memory of the body.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic_core import SchemaValidator

__all__ = ["LARGE", "BySize", "failing_fast"]

LARGE = 32 * 1024  # bytes of a body from which on the first wrong item is enough

_COLLECTIONS = ("list", "set", "frozenset", "tuple", "dict", "deque", "counter", "ordered-dict", "frozendict")
_NOT_SCHEMAS = ("cls", "metadata", "config", "default", "expected", "members", "ref", "schema_ref")


class BySize:
    """Choose the validator for a body of some size; the one for large bodies is made for the first of them."""

    def __init__(self, ordinary: Any, schema: Any) -> None:
        self._ordinary = ordinary
        self._schema = schema

    def of(self, size: int) -> Any:
        """Return the validator for a body of ``size`` bytes."""
        return self._ordinary if size <= LARGE else self._fast

    @cached_property
    def _fast(self) -> Any:
        return failing_fast(self._schema)


def failing_fast(schema: Any) -> Any:
    """Return a validator for a core schema of pydantic; it takes what the ordinary one takes."""
    make: Any = SchemaValidator
    try:  # the validators that models bring along are ordinary ones
        return make(_changed(schema), _use_prebuilt=False)
    except TypeError:  # of a pydantic that makes all validators anew
        return make(_changed(schema))


def _changed(schema: Any) -> Any:
    if isinstance(schema, dict):
        kind = schema.get("type")
        kept = _NOT_SCHEMAS if isinstance(kind, str) else ()  # else these are fields by their names
        changed = {k: v if k in kept else _changed(v) for k, v in schema.items()}
        return changed | {"fail_fast": True} if kind in _COLLECTIONS else changed
    if isinstance(schema, list | tuple):
        return type(schema)(map(_changed, schema))
    return schema
