"""Places in an object, as the names of parts say them."""

from __future__ import annotations

from typing import Any

import pytest

from bentoml.sdk.values.nested import place


@pytest.mark.parametrize(
    ("tree", "path", "expected"),
    [
        pytest.param({}, "a.b", {"a": {"b": 1}}, id="new object"),
        pytest.param({"a": {"c": 2}}, "a.b", {"a": {"b": 1, "c": 2}}, id="object"),
        pytest.param({"a": None}, "a.b.c", {"a": {"b": {"c": 1}}}, id="null"),
        pytest.param({"a": [{}, None]}, "a.0.b", {"a": [{"b": 1}, None]}, id="item"),
        pytest.param({"a": [0, 0]}, "a.1", {"a": [0, 1]}, id="in a list"),
        pytest.param({"a": {"b.txt": None}}, "a.b.txt", {"a": {"b.txt": 1}}, id="a key with a dot"),
        pytest.param(
            {"a": [{"x.y": [None]}]}, "a.0.x.y.0", {"a": [{"x.y": [1]}]}, id="a key with a dot on the way"
        ),
        pytest.param(
            {"a": {"b": {"c": None}, "b.c": 2}}, "a.b.c", {"a": {"b": {"c": 1}, "b.c": 2}}, id="the null"
        ),
        pytest.param({"a": {"b": 2, "b.c": None}}, "a.b.c", {"a": {"b": 2, "b.c": 1}}, id="the other null"),
    ],
)
def test_places(tree: dict[str, Any], path: str, expected: dict[str, Any]) -> None:
    place(tree, path, 1)
    assert tree == expected


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"a": [0]}, "a.1"),
        ({"a": [0]}, "a.-1"),
        ({"a": [0]}, "a.x"),
        ({"a": [0]}, "a.99999999999"),
        ({"a": [0]}, "a.²"),
        ({"a": "text"}, "a.b"),
        ({"a": 1}, "a.b.c"),
        ({}, "a" + ".b" * 100),
    ],
)
def test_places_that_there_are_not(tree: dict[str, Any], path: str) -> None:
    with pytest.raises(ValueError, match=r"item|object|deeper"):
        place(tree, path, 1)
