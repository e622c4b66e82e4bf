"""A large body with a million wrong items is one error, not a million."""

from __future__ import annotations

import json
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, ValidationError

from bentoml.sdk.method import APIMethod
from bentoml.sdk.values.fail_fast import LARGE
from bentoml.sdk.values.serde import Input, Part

MANY = LARGE // 3


class Tags(BaseModel):
    default: list[int] = []
    type: dict[str, int] = {}
    children: list[Tags] = []


class Row(TypedDict):
    cls: set[int]


class Everything:
    def lists(self, x: list[int]) -> None: ...
    def model(self, x: Tags) -> None: ...
    def rows(self, x: list[Row] | None = None) -> None: ...
    def either(self, x: list[int] | dict[str, tuple[int, ...]]) -> None: ...
    def root(self, x: list[int], /) -> None: ...
    def root_model(self, x: Tags, /) -> None: ...


def input_of(name: str) -> Input:
    return APIMethod(getattr(Everything, name)).input


WRONG = ["a"] * MANY
BODIES: list[tuple[str, Any]] = [
    ("lists", {"x": WRONG}),
    ("model", {"x": {"default": WRONG}}),
    ("model", {"x": {"type": dict.fromkeys(map(str, range(MANY)), "a")}}),
    ("model", {"x": {"children": [{"default": WRONG}]}}),
    ("rows", {"x": [{"cls": [f"a{i}" for i in range(MANY)]}]}),
    ("either", {"x": WRONG}),
    ("either", {"x": {"a": WRONG}}),
    ("root", WRONG),
    ("root_model", {"default": WRONG}),
]


@pytest.mark.parametrize(("name", "body"), BODIES)
def test_a_flood_of_mistakes(name: str, body: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        input_of(name).from_json(json.dumps(body).encode())
    assert caught.value.error_count() <= 3


def test_a_flood_in_a_form() -> None:
    for name, field in (("lists", "x"), ("root_model", "default")):
        with pytest.raises(ValidationError) as caught:
            input_of(name).from_parts([Part(field, None, None, json.dumps(WRONG).encode())])
        assert caught.value.error_count() <= 3


def test_a_large_body_is_read_as_a_small_one() -> None:
    numbers = list(range(MANY))
    assert input_of("lists").from_json(json.dumps({"x": numbers}).encode()) == {"x": numbers}
    got = input_of("model").from_json(json.dumps({"x": {"default": numbers, "children": [{}]}}).encode())["x"]
    assert type(got) is Tags
    assert (got.default, type(got.children[0])) == (numbers, Tags)


def test_a_small_body_is_told_of_every_mistake() -> None:
    with pytest.raises(ValidationError) as caught:
        input_of("lists").from_json(b'{"x": ["a", "b"]}')
    assert caught.value.error_count() == 2
