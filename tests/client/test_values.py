"""Arguments to JSON and answers from it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from bentoml.client.values import decode, encode
from bentoml.exceptions import BentoMLException, InvalidArgument

JSON = "application/json"


class Model(BaseModel):
    size: int
    when: date


@dataclass
class Plain:
    size: int


class Table:
    """Looks like a table of pandas."""

    def __init__(self, columns: dict[str, list[int]]) -> None:
        self.columns = columns

    def to_dict(self, orient: str) -> object:
        if orient == "list":
            return self.columns
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("é", "é"),
        ([1, 2.5, None, True], [1, 2.5, None, True]),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        (2**70, 2**70),
        (b"text", "text"),
        (Path("a/b"), "a/b"),
        (Model(size=1, when=date(2026, 1, 2)), {"size": 1, "when": "2026-01-02"}),
        (Plain(1), {"size": 1}),
        (np.float32(0.5), 0.5),
        (np.eye(2, dtype=np.int64)[:, ::-1], [[0, 1], [1, 0]]),
        ({"deep": [np.ones(2)]}, {"deep": [[1.0, 1.0]]}),
        (range(3), [0, 1, 2]),
        ({"a": 1}.values(), [1]),
        ([MappingProxyType({"a": range(1)})], [{"a": [0]}]),
        (Table({"a": [1, 2], "b": [3, 4]}), [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_encode(value: Any, expected: Any) -> None:
    assert json.loads(encode("x", value, {})) == expected


def test_a_table_by_columns() -> None:
    table = Table({"a": [1, 2]})
    assert encode("x", table, {"type": "dataframe", "orient": "columns"}) == b'{"a":[1,2]}'


def test_not_a_number_survives() -> None:
    assert math.isnan(json.loads(encode("x", math.nan, {})))


def test_what_has_no_json() -> None:
    with pytest.raises(InvalidArgument, match=r"argument `x` cannot be sent as JSON.*`object`"):
        encode("x", object(), {})


@pytest.mark.parametrize(
    ("body", "media_type", "schema", "expected"),
    [
        (b"\xc3\xa9", "text/plain", {"type": "string"}, "é"),
        (b'"quoted"', "text/plain", {"type": "string"}, '"quoted"'),
        (b'"quoted"', JSON, {"type": "string", "media_type": JSON}, '"quoted"'),
        (b'"2026-01-02"', JSON, {"type": "string", "format": "date"}, "2026-01-02"),
        (b"raw", JSON, {"type": "string"}, "raw"),
        (b"\xff", "text/plain", {"type": "string", "format": "binary"}, b"\xff"),
        (b"0.5", JSON, {"type": "number"}, 0.5),
        (b"1180591620717411303424", JSON, {"type": "integer"}, 2**70),
        (b'{"a":1}', JSON, {"type": "object"}, {"a": 1}),
        (b"[1]", "application/problem+json", {}, [1]),
        (b"raw", JSON, {"anyOf": [{"type": "number"}, {"type": "string"}]}, "raw"),
        (b'"text"', JSON, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        (b"null", JSON, {"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        (b"plain", "text/html", {}, "plain"),
        (b"\xff", "image/png", {}, b"\xff"),
    ],
)
def test_decode(body: bytes, media_type: str, schema: dict[str, Any], expected: Any) -> None:
    assert decode(body, media_type, schema) == expected


def test_a_tensor_is_an_array() -> None:
    array = decode(b"[[1,2],[3,null]]", JSON, {"type": "tensor"})
    assert array.dtype == np.float64
    assert np.array_equal(array, [[1.0, 2.0], [3.0, np.nan]], equal_nan=True)
    assert np.isnan(decode(b"[NaN, 1]", JSON, {"type": "tensor"})[0])
    assert decode(b"[1]", JSON, {"type": "tensor", "dtype": "float32"}).dtype == np.float32


@pytest.mark.parametrize("schema", [{"type": "object"}, {"type": "array"}, {"type": "tensor"}])
def test_an_answer_that_is_nested_too_deep(schema: dict[str, Any]) -> None:
    with pytest.raises(BentoMLException, match="the server's answer is not JSON"):
        decode(b"[" * 100_000 + b"]" * 100_000, JSON, schema)


def test_an_answer_that_is_not_what_its_schema_says() -> None:
    with pytest.raises(BentoMLException, match="the server's answer is not JSON"):
        decode(b"oops", JSON, {"type": "object"})
