"""Streams, cut anywhere by the network."""

from __future__ import annotations

from typing import Any

import pytest

from bentoml.client.chunks import chunks_of
from bentoml.exceptions import BentoMLException, ServiceUnavailable

OBJECT = {"type": "object", "is_stream": True}
TEXT = {"type": "string", "is_stream": True, "media_type": "text/event-stream"}


def read(schema: dict[str, Any], *pieces: bytes, media_type: str = "") -> list[Any]:
    chunks = chunks_of(schema, media_type, "/x")
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
    with pytest.raises(BentoMLException, match="nested too deep"):
        read(OBJECT, b"[" * 100_000 + b"\n")


EVENTS = "text/event-stream"
ERROR = b'event: error\ndata: {"error": "gone", "status": 503}\n\n'
OTHER = b"event: error\ndata: of the user\n\n"


@pytest.mark.parametrize("before", [b"", b"data: a\n\n", b"b\n\n", b"data: a\n\n" + OTHER, ERROR])
@pytest.mark.parametrize("size", [1, 2, 5, 17, 18, 19, 1000])
def test_an_error_at_the_end_of_a_stream_is_raised(before: bytes, size: int) -> None:
    body = before + ERROR
    chunks = chunks_of(TEXT, EVENTS, "/x")
    values: list[str] = []
    with pytest.raises(ServiceUnavailable, match=r"^gone$"):
        for start in range(0, len(body), size):
            values.extend(chunks.feed(body[start : start + size]))
        values.extend(chunks.end())
    assert "".join(values) == before.decode()


@pytest.mark.parametrize(
    "body",
    [
        ERROR + b"more",
        OTHER,
        b"x" + ERROR,
        b"event: err",
        b'event: error\ndata: {"error": "x"}\n\n',
        ERROR[:-1],
        b"event: error\ndata: " + b"x" * 20_000,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_is_no_error_at_the_end_is_text(body: bytes, size: int) -> None:
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    assert "".join(read(TEXT, *pieces, media_type=EVENTS)) == body.decode()


def test_nothing_waits_but_what_may_be_the_error() -> None:
    chunks = chunks_of(TEXT, EVENTS)
    assert list(chunks.feed(b"data: a\n\n")) == ["data: a\n\n"]
    assert list(chunks.feed(b"even")) == []
    assert list(chunks.feed(b"ts\n")) == ["events\n"]
    assert list(chunks.feed(b"a\n\nevent: error\ndata: 1")) == ["a\n\n"]
    assert list(chunks.feed(b"\n\nb")) == ["event: error\ndata: 1\n\nb"]


def test_the_empty_line_before_the_error_is_no_part_of_the_text() -> None:
    chunks = chunks_of(TEXT, EVENTS)
    assert list(chunks.feed(b"a")) == ["a"]
    assert list(chunks.feed(b"\n\n" + ERROR)) == []
    with pytest.raises(ServiceUnavailable):
        list(chunks.end())


def test_an_error_after_steps_of_json() -> None:
    chunks = chunks_of(OBJECT, EVENTS)
    assert list(chunks.feed(b'{"a":1}\n\n\n' + ERROR)) == [{"a": 1}]
    with pytest.raises(ServiceUnavailable, match="gone"):
        list(chunks.end())


def test_only_streams_of_events_end_so() -> None:
    assert read(TEXT, ERROR, media_type="text/plain") == [ERROR.decode()]
