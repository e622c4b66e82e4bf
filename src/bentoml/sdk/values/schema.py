"""JSON schemas as clients read them: no references, and `file`, `tensor` beside JSON's own types."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

__all__ = ["flat_optional", "inlined", "schema_of"]

_PREFIX = "#/$defs/"


class _Lenient(GenerateJsonSchema):
    """Describe what has no JSON schema as anything, instead of failing."""

    ignored_warning_kinds = {"non-serializable-default", "skipped-choice"}  # noqa: RUF012  # pydantic's own name

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}


def schema_of(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """Return the JSON schema of a type, with its references inlined."""
    schema: dict[str, Any] = inlined(adapter.json_schema(mode="validation", schema_generator=_Lenient))
    return schema


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Replace each ``$ref`` by what it names; only a type that contains itself keeps its ``$defs``."""
    definitions = schema.get("$defs", {})
    kept: dict[str, Any] = {}
    body: dict[str, Any] = _inline({k: v for k, v in schema.items() if k != "$defs"}, definitions, (), kept)
    return body | ({"$defs": kept} if kept else {})


def flat_optional(schema: dict[str, Any]) -> dict[str, Any]:
    """Write ``anyOf: [X, null]`` as X with ``nullable``: clients look at ``type`` to see what a field takes."""
    branches = schema.get("anyOf", [])
    others = [branch for branch in branches if branch != {"type": "null"}]
    if len(branches) != 2 or len(others) != 1:
        return schema
    flat: dict[str, Any] = others[0] | {k: v for k, v in schema.items() if k != "anyOf"}
    return flat | {"nullable": True}


def _inline(node: Any, definitions: dict[str, Any], parents: tuple[str, ...], kept: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions, parents, kept) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if not isinstance(reference, str) or not reference.startswith(_PREFIX):
        return {key: _inline(value, definitions, parents, kept) for key, value in node.items()}
    name = reference.removeprefix(_PREFIX)
    if name in parents:
        _keep(name, definitions, kept)
        return node
    beside = {key: value for key, value in node.items() if key != "$ref"}
    target: dict[str, Any] = _inline(definitions[name], definitions, (*parents, name), kept)
    return target | _inline(beside, definitions, parents, kept)


def _keep(name: str, definitions: dict[str, Any], kept: dict[str, Any]) -> None:
    """Keep a definition that contains itself; inside it every reference stays."""
    if name in kept:
        return
    kept[name] = definitions[name]
    for other in _references(definitions[name]):
        _keep(other, definitions, kept)


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*(_references(item) for item in node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix(_PREFIX)} if isinstance(node.get("$ref"), str) else set()
    return own.union(*(_references(value) for value in node.values()))
