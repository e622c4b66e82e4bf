"""Streams, cut anywhere by the network."""

from __future__ import annotations

from typing import Any

import pytest

from bentoml.client.chunks import chunks_of
from bentoml.exceptions import BentoMLException

OBJECT = {"type": "object", "is_stream": True}
TEXT = {"type": "string", "is_stream": True, "media_type": "text/event-stream"}


def read(schema: dict[str, Any], *pieces: bytes) -> list[Any]:
    chunks = chunks_of(schema)
    return [value for piece in pieces for value in chunks.feed(piece)] + list(chunks.end())


@pytest.mark.parametrize(
    ("schema", "pieces", "values"),
    [
        (TEXT, [b"a", b"b"], ["a", "b"]),
        (TEXT, [b"a\xc3", b"\xa9b"], ["a", "éb"]),
        (TEXT, [b"\xf0", b"\x9f", b"\x8d", b"\xb1"], ["🍱"]),
        (TEXT, [b"a\xc3"], ["a", "�"]),
        ({"is_stream": True}, [b"a"], ["a"]),
        ({"type": "string", "format": "binary"}, [b"\xff", b"\xfe"], [b"\xff", b"\xfe"]),
        (OBJECT, [b'{"a":1}\n{"a":2}\n'], [{"a": 1}, {"a": 2}]),
        (OBJECT, [b'{"a"', b":1", b'}\n{"a":"\xc3', b'\xa9"}\n'], [{"a": 1}, {"a": "é"}]),
        (OBJECT, [b'{"a":1}{"a":2}'], [{"a": 1}, {"a": 2}]),
        (OBJECT, [b"\n\n"], []),
        ({"type": "integer"}, [b"1", b"2\n3\n"], [12, 3]),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, [b'1\n"a"\n'], [1, "a"]),
    ],
)
def test_streams(schema: dict[str, Any], pieces: list[bytes], values: list[Any]) -> None:
    assert read(schema, *pieces) == values


def test_a_step_comes_as_soon_as_its_line_is_complete() -> None:
    chunks = chunks_of(OBJECT)
    assert list(chunks.feed(b'{"a":1}\n{"a"')) == [{"a": 1}]


def test_arrays_in_a_stream() -> None:
    (array,) = read({"type": "tensor", "dtype": "float32"}, b"[1,2]\n")
    assert array.dtype.name == "float32"


def test_a_step_that_is_not_json() -> None:
    with pytest.raises(BentoMLException, match="a step of the stream is not JSON"):
        read(OBJECT, b"oops\n")
