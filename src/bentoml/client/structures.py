"""Structures: files inside of models, lists and dictionaries, found by the schema and named by their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .uploads import is_file
from .values import plain_optional

__all__ = ["fields_of", "holds_files", "schema_at", "schema_for", "without_files"]

Schema = Mapping[str, Any]
TakeFile = Callable[[str, object, Schema], None]


def holds_files(schema: Schema) -> bool:
    """Say whether a value with this schema is a file, or has files in it at any depth."""
    schema = plain_optional(schema)
    if schema.get("type") == "file":
        return True
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("prefixItems", ())]
    inner += [schema.get("items"), schema.get("additionalProperties")]
    return any(isinstance(one, Mapping) and holds_files(one) for one in inner)


def without_files(place: str, value: Any, schema: Schema, take: TakeFile) -> Any:
    """Return a value with None for each file in it, which is given to ``take`` with its place: ``items.0.image``."""
    schema = schema_for(value, schema)
    if value is None or not holds_files(schema):
        return value
    if schema.get("type") == "file":
        take(place, value, schema)
        return None
    if isinstance(value, list | tuple):
        return [
            without_files(f"{place}.{number}", item, _item(schema, number), take)
            for number, item in enumerate(value)
        ]
    fields = fields_of(value)
    if fields is None:
        return value
    return {n: without_files(f"{place}.{n}", item, _inner(schema, n), take) for n, item in fields.items()}


def schema_for(value: object, schema: Schema) -> Schema:
    """Return the schema that a value goes by: of a file or something else (``Path | str``), the file's where it is one.

    Text is the text then, for what else is in the union may be meant.
    """
    schema = plain_optional(schema)
    files = [branch for branch in schema.get("anyOf", ()) if branch.get("type") == "file"]
    return files[0] if files and is_file(value) else schema


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


def _item(schema: Schema, number: int) -> Schema:
    first: Sequence[Schema] = schema.get("prefixItems", ())
    found: Schema = first[number] if number < len(first) else schema.get("items", {})
    return found


def _inner(schema: Schema, name: str) -> Schema:
    other = schema.get("additionalProperties")
    found: Schema = schema.get("properties", {}).get(name, other if isinstance(other, Mapping) else {})
    return found
