"""Defaults: one that its own schema does not admit is left out of the document, which would not be valid with it.

``text: str = None`` is common in Python. It says that the text may be left out, not that null may be sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from .schemas import COMPONENTS, DATA, MAPS, Json

__all__ = ["without_unfit_defaults"]

_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: _is_number(v) and math.isfinite(v) and v == int(v),
    "number": lambda v: _is_number(v),
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}
_LIMITS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {  # of which kind, and what is within it
    "minimum": ("number", lambda v, limit: v >= limit),
    "maximum": ("number", lambda v, limit: v <= limit),
    "exclusiveMinimum": ("number", lambda v, limit: v > limit),
    "exclusiveMaximum": ("number", lambda v, limit: v < limit),
    "multipleOf": ("number", lambda v, step: (v / step).is_integer()),
    "minLength": ("string", lambda v, limit: len(v) >= limit),
    "maxLength": ("string", lambda v, limit: len(v) <= limit),
    "pattern": ("string", lambda v, pattern: re.search(pattern, v) is not None),
    "minItems": ("array", lambda v, limit: len(v) >= limit),
    "maxItems": ("array", lambda v, limit: len(v) <= limit),
    "required": ("object", lambda v, names: v.keys() >= set(names)),
}


def without_unfit_defaults(components: Json) -> Json:
    """Return the components of a document; of their defaults only those that fit."""

    def kept(node: Any) -> Any:
        if isinstance(node, list):
            return [kept(item) for item in node]
        if not isinstance(node, dict):
            return node
        schema = {key: of_keyword(key, value) for key, value in node.items()}
        if "default" in schema and not _fits(schema["default"], node, components):
            del schema["default"]
        return schema

    def of_keyword(key: str, value: Any) -> Any:
        if key in DATA:
            return value
        return {name: kept(schema) for name, schema in value.items()} if key in MAPS else kept(value)

    return {name: kept(schema) for name, schema in components.items()}


def _fits(value: Any, schema: Any, components: Json) -> bool:
    """Say whether a schema admits a value, by the keywords that types and constraints of Python become."""
    if not isinstance(schema, dict):
        return True
    kinds = schema.get("type", list(_KINDS))
    branches = [schema[key] for key in ("anyOf", "oneOf") if key in schema]
    return (
        any(_KINDS[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds))
        and value in schema.get("enum", [value])
        and value == schema.get("const", value)
        and all(_is_within(value, schema, keyword) for keyword in _LIMITS.keys() & schema.keys())
        and all(any(_fits(value, branch, components) for branch in some) for some in branches)
        and _fits(value, components.get(schema.get("$ref", "").removeprefix(COMPONENTS)), components)
        and all(_fits(part, its, components) for part, its in _parts(value, schema))
    )


def _parts(value: Any, schema: Json) -> list[tuple[Any, Any]]:
    """Return what is inside of a list or an object, each with its schema."""
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        rest = schema.get("items", True)
        return [(item, first[i] if i < len(first) else rest) for i, item in enumerate(value)]
    if isinstance(value, dict):
        named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        return [(item, named.get(name, others)) for name, item in value.items()]
    return []


def _is_within(value: Any, schema: Json, keyword: str) -> bool:
    kind, holds = _LIMITS[keyword]
    try:
        return not _KINDS[kind](value) or holds(value, schema[keyword])
    except re.error:  # a pattern that only pydantic's engine knows
        return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
