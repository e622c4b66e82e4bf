"""JSON schemas without references."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, TypeAdapter

from bentoml.sdk.values.schema import flat_optional, schema_of


class Leaf(BaseModel):
    n: int


class Branch(BaseModel):
    left: Leaf
    right: Leaf | None = None


class Tree(BaseModel):
    leaf: Leaf
    children: list[Tree] = []


def test_references_are_inlined() -> None:
    schema = schema_of(TypeAdapter(dict[str, Branch]))
    leaf = {"properties": {"n": {"title": "N", "type": "integer"}}, "required": ["n"], "title": "Leaf", "type": "object"}  # fmt: skip
    assert "$defs" not in schema
    assert schema["additionalProperties"]["properties"]["left"] == leaf
    assert schema["additionalProperties"]["properties"]["right"]["anyOf"][0] == leaf


def test_a_type_that_contains_itself_keeps_its_definition() -> None:
    schema = schema_of(TypeAdapter(Tree))
    assert set(schema["$defs"]) == {"Tree", "Leaf"}
    assert schema["properties"]["leaf"]["title"] == "Leaf"
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    named = set(json.dumps(schema).split('"#/$defs/')[1:])
    assert all(rest.split('"')[0] in schema["$defs"] for rest in named)


def test_flat_optional() -> None:
    both: dict[str, Any] = {"anyOf": [{"type": "file"}, {"type": "null"}], "default": None}
    assert flat_optional(both) == {"type": "file", "default": None, "nullable": True}
    for other in ({"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}):
        assert flat_optional(other) == other
