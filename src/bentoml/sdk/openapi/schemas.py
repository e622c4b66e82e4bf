"""Schemas in the words of JSON Schema alone: what ours say besides (files, arrays, tables) is translated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["BINARY", "COMPONENTS", "DATA", "MAPS", "Json", "Schemas", "binary", "identifier", "reference"]

Json = dict[str, Any]

BINARY: Json = {"type": "string", "format": "binary"}

COMPONENTS = "#/components/schemas/"  # what a reference begins with
_OURS = {
    "$defs",
    "root_input",
    "is_stream",
    "media_type",
    "nullable",
    "pil",
    "content_type",
    "discriminator",
    "url",
    "dtype",
}
_OURS_OF_ARRAYS = {"format", "dtype", "shape", "dim", "orient", "columns", "items", "contentMediaType"}
DATA = {"default", "const", "enum", "examples", "required"}  # keywords that hold no schema
MAPS = {"properties", "patternProperties", "dependentSchemas"}  # ... schemas by name


class Schemas:
    """The components of one document, filled while its paths are written."""

    def __init__(self) -> None:
        self.components: Json = {"Error": _error()}

    def add(self, name: str, schema: Json) -> Json:
        """Put a schema and its definitions among the components and return a reference to it."""
        name = identifier(name)
        definitions: Json = schema.get("$defs", {})
        prefix = f"{name}__" if any(self._taken(n, d) for n, d in definitions.items()) else ""
        for other, definition in definitions.items():
            self.components[prefix + identifier(other)] = _standard(definition, prefix)
        self.components[name] = _standard(schema, prefix)
        return reference(name)

    def _taken(self, name: str, definition: Json) -> bool:
        """Say whether another model has this name: then the models of this API go by longer names."""
        known = self.components.get(identifier(name))
        return known is not None and bool(known != _standard(definition, ""))


def reference(name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": COMPONENTS + name}


def binary(schema: Mapping[str, Any]) -> Json:
    """Return how a file looks: bytes of a media type, where it says one."""
    about = {"contentMediaType": schema["content_type"]} if "content_type" in schema else {}
    return {**BINARY, **about}


def identifier(name: str) -> str:
    """Return a name that may stand in a reference: letters, digits, ``.``, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def _standard(node: Any, prefix: str) -> Any:
    """Return a schema in standard words; references name components, whose names start with ``prefix``."""
    if isinstance(node, list):
        return [_standard(item, prefix) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: _keyword(key, value, prefix) for key, value in node.items() if key not in _OURS}
    match node.get("type"):
        case "file":
            schema |= binary(node)
            if node.get("url"):
                schema = _or_address(schema)
        case "tensor":
            schema = {k: v for k, v in schema.items() if k not in _OURS_OF_ARRAYS} | _tensor(node)
        case "dataframe":
            schema = {k: v for k, v in schema.items() if k not in _OURS_OF_ARRAYS} | _table(node)
    return _or_null(schema) if node.get("nullable") else schema


def _keyword(key: str, value: Any, prefix: str) -> Any:
    if key in DATA:
        return value
    if key == "$ref":
        return COMPONENTS + prefix + identifier(value.removeprefix("#/$defs/"))
    if key in MAPS:
        return {name: _standard(schema, prefix) for name, schema in value.items()}
    return _standard(value, prefix)


def _tensor(node: Mapping[str, Any]) -> Json:
    """Return nested lists: as deep and as long as the shape says, of what the dtype says."""
    dtype, shape = node.get("dtype"), node.get("shape")
    facts = ", ".join(f"{key} {node[key]}" for key in ("dtype", "shape") if key in node)
    about = {"description": node.get("description") or f"An array: {facts}"} if facts else {}
    schema: Json = _element(dtype)
    for size in reversed([-1] if shape is None else shape):
        exact = {"minItems": size, "maxItems": size} if size >= 0 else {}
        schema = {"type": "array", "items": schema, **exact}
    if shape is None:  # of any depth: lists of numbers, lists of lists, ...
        schema["items"] = {}
    return schema | about


def _element(dtype: str | None) -> Json:
    """Return the schema of one element of an array."""
    known = re.fullmatch(r"(?:torch\.)?([a-z]+?)_?(\d*)", dtype or "")
    kind, bits = known.groups() if known else ("", "")
    edge = 1 << (int(bits or 64) - 1)
    match kind:
        case "int" | "long" | "short":
            return {"type": "integer", "minimum": -edge, "maximum": edge - 1}
        case "uint":
            return {"type": "integer", "minimum": 0, "maximum": 2 * edge - 1}
        case "float" | "bfloat" | "double" | "half":
            return {"type": ["number", "null"]}
        case "bool":
            return {"type": "boolean"}
        case "str":
            return {"type": "string"}
    return {}


def _table(node: Mapping[str, Any]) -> Json:
    """Return rows or columns; which columns there are, and of what, is in the description."""
    about = (
        {"description": node.get("description") or f"A table: columns {node['columns']}"}
        if node.get("columns")
        else {}
    )
    if node.get("orient") == "columns":
        return {"type": "object", "additionalProperties": {"type": ["array", "object"]}, **about}
    return {"type": "array", "items": {"type": "object"}, **about}


def _or_null(schema: Json) -> Json:
    return _either(schema, {"type": "null"})


def _or_address(schema: Json) -> Json:
    return _either(schema, {"type": "string", "format": "uri"})


def _either(schema: Json, other: Json) -> Json:
    """Return a schema or another one; what is said of the whole stays outside."""
    outside: Json = {key: schema.pop(key) for key in ("title", "description", "default") if key in schema}
    branches = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    return {"anyOf": [*branches, other], **outside}


def _error() -> Json:
    text: Json = {"type": "string"}
    place: Json = {"type": "array", "items": {"type": ["string", "integer"]}}
    detail: Json = {
        "type": "object",
        "properties": {"loc": place, "msg": text, "type": text, "url": text},
        "required": ["loc", "msg", "type"],
    }
    properties = {"error": text, "detail": {"type": "array", "items": detail}}
    return {"type": "object", "title": "Error", "properties": properties, "required": ["error"]}
