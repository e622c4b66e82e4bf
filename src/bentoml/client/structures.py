"""Structures: files and bytes inside of models, lists and dictionaries, found by the schema and named by their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .uploads import is_file
from .values import plain_optional

__all__ = [
    "fields_of",
    "has_raw_bytes",
    "holds_bytes",
    "holds_files",
    "is_binary",
    "schema_at",
    "schema_for",
    "without_parts",
]

Schema = Mapping[str, Any]
Take = Callable[[str, Any, Schema], None]


def holds_files(schema: Schema) -> bool:
    """Say whether a value with this schema is a file, or has files in it at any depth."""
    return _holds(schema, _is_file)


def holds_bytes(schema: Schema) -> bool:
    """Say the same of bytes."""
    return _holds(schema, is_binary)


def is_binary(schema: Schema) -> bool:
    """Say whether a schema is that of ``bytes``."""
    return (schema.get("type"), schema.get("format")) == ("string", "binary")


def has_raw_bytes(value: Any, schema: Schema) -> bool:
    """Say whether a value, which holds no files, has bytes in it that JSON cannot hold as text."""
    found: list[object] = []
    without_parts("", value, schema, lambda _place, part, _schema: found.append(part))
    return bool(found)


def without_parts(place: str, value: Any, schema: Schema, take: Take) -> Any:
    """Return a value with None for each file in it, and for bytes that are no text.

    Each of them is given to ``take`` with its place, ``items.0.image``.
    """
    schema = schema_for(value, schema)
    if value is None or not _holds(schema, _may_be_part):
        return value
    if _is_file(schema) or (is_binary(schema) and _is_raw(value)):
        take(place, value, schema)
        return None
    if isinstance(value, tuple) and 0 < len(value) <= len(schema.get("properties", ())):
        value = dict(zip(schema["properties"], value, strict=False))  # a named tuple
    if isinstance(value, list | tuple | set | frozenset):
        return [
            without_parts(f"{place}.{number}", item, _item(schema, number), take)
            for number, item in enumerate(value)
        ]
    fields = fields_of(value)
    if fields is None:
        return value
    return {n: without_parts(f"{place}.{n}", item, _inner(schema, n), take) for n, item in fields.items()}


def schema_for(value: object, schema: Schema) -> Schema:
    """Return the schema that a value goes by: where several would do, that of a file or of bytes where it is one.

    Text is the text then, for what else is in the union may be meant.
    """
    schema = plain_optional(schema)
    branches: Sequence[Schema] = schema.get("anyOf", ())
    if (files := list(filter(_is_file, branches))) and is_file(value):
        return files[0]
    if (binary := list(filter(is_binary, branches))) and isinstance(value, bytes | bytearray):
        return binary[0]
    return schema


def schema_at(schema: Schema, way: Sequence[str | int]) -> Schema:
    """Return the schema of what lies at the end of a way through a value: by keys of objects, by numbers of items."""
    for step in way:
        schema = plain_optional(schema)
        schema = _item(schema, step) if isinstance(step, int) else _inner(schema, step)
    return plain_optional(schema)


def fields_of(value: Any) -> Mapping[str, Any] | None:
    """Return the fields of a dictionary, a pydantic model or a dataclass, by the names that they have in JSON."""
    if isinstance(value, Mapping):
        return value
    if models := getattr(type(value), "model_fields", None):
        return {(field.alias or name): getattr(value, name) for name, field in models.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _holds(schema: Schema, is_one: Callable[[Schema], bool]) -> bool:
    schema = plain_optional(schema)
    if is_one(schema):
        return True
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("prefixItems", ())]
    inner += [schema.get("items"), schema.get("additionalProperties")]
    return any(isinstance(one, Mapping) and _holds(one, is_one) for one in inner)


def _is_file(schema: Schema) -> bool:
    return schema.get("type") == "file"


def _may_be_part(schema: Schema) -> bool:
    return _is_file(schema) or is_binary(schema)


def _is_raw(value: object) -> bool:
    """Say whether a value is bytes that JSON cannot hold as text."""
    if not isinstance(value, bytes | bytearray):
        return False
    try:
        value.decode()
    except UnicodeDecodeError:
        return True
    return False


def _item(schema: Schema, number: int) -> Schema:
    first: Sequence[Schema] = schema.get("prefixItems", ())
    found: Schema = first[number] if number < len(first) else schema.get("items", {})
    return found


def _inner(schema: Schema, name: str) -> Schema:
    other = schema.get("additionalProperties")
    found: Schema = schema.get("properties", {}).get(name, other if isinstance(other, Mapping) else {})
    return found
