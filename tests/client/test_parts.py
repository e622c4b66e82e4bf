"""Answers of several fields, cut anywhere by the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bentoml.client.downloads import Downloads
from bentoml.client.parts import FormReader, ReceivedPart, form_value
from bentoml.exceptions import BentoMLException

FILE = {"type": "file"}
BODY = (
    b"preamble\r\n--B\r\ncontent-disposition: form-data; name=\"text\"\r\nContent-Type: application/json\r\n\r\n\"t\"\r\n"
    b'--B\r\nContent-Disposition: form-data; name="a"; filename="../e\xc3\xa9.txt"\r\nContent-Type: text/plain\r\n\r\n'
    b"one\r\n--Bad\r\n\r\n--B  \r\n"
    b'content-disposition: form-data; name="b"; filename="b.bin"\r\n\r\n\r\n--B--\r\nepilogue'
)  # fmt: skip


def read(body: bytes, size: int, downloads: Downloads) -> list[ReceivedPart]:
    with FormReader('multipart/form-data; boundary="B"', downloads.new) as reader:
        for start in range(0, len(body), size):
            reader.feed(body[start : start + size])
        return reader.end()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_parts(size: int) -> None:
    downloads = Downloads()
    body = BODY.replace(b"--Bad", b"--Cad")
    text, a, b = read(body, size, downloads)
    assert text == ReceivedPart("text", "application/json", b'"t"', None)
    assert (a.name, a.media_type, a.data) == ("a", "text/plain", b"")
    assert a.path is not None and b.path is not None
    assert a.path.name.endswith("-eé.txt")
    assert a.path.read_bytes() == b"one\r\n--Cad\r\n"
    assert b.path.read_bytes() == b""
    downloads.close()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (BODY[:-20], "it is cut off"),
        (b"", "it is cut off"),
        (b"--B\r\n" + b"x" * 20_000, "do not end"),
    ],
)
def test_what_is_no_form(body: bytes, message: str) -> None:
    downloads = Downloads()
    with pytest.raises(BentoMLException, match=message):
        read(body, 1000, downloads)
    downloads.close()


def test_a_form_without_a_boundary() -> None:
    with pytest.raises(BentoMLException, match="names no boundary"):
        FormReader("multipart/form-data", Downloads().new)


def part(name: str, value: str | Path) -> ReceivedPart:
    if isinstance(value, Path):
        return ReceivedPart(name, "text/plain", b"", value)
    return ReceivedPart(name, "application/json", value.encode(), None)


ITEM = {"type": "object", "properties": {"name": {"type": "string"}, "image": {"type": "file", "pil": True}}}
NAMED = {"type": "object", "additionalProperties": {"type": "file", "pil": True}}
A, B = Path("a"), Path("b")


@pytest.mark.parametrize(
    ("schema", "parts", "value"),
    [
        ({"properties": {"t": {"type": "string"}, "f": FILE}}, [part("t", '"x"'), part("f", A)], {"t": "x", "f": "file a"}),
        ({"properties": {"fs": {"type": "array", "items": FILE}}}, [part("fs", A)], {"fs": ["file a"]}),
        ({"properties": {"fs": {"type": "array", "items": FILE}}}, [part("fs", "[]")], {"fs": []}),
        ({"properties": {"f": {"anyOf": [FILE, {"type": "null"}]}}}, [part("f", "null")], {"f": None}),
        ({"type": "array", "items": FILE}, [part("root", A), part("root", B)], ["file a", "file b"]),
        ({"type": "array", "items": FILE}, [part("root", A)], ["file a"]),
        ({"additionalProperties": FILE, "type": "object"}, [part("x", A), part("y.z", B)], {"x": "file a", "y.z": "file b"}),
        ({"properties": {"item": ITEM}}, [part("item", '{"name":"n","image":null}'), part("item.image", A)],
         {"item": {"name": "n", "image": "image a"}}),
        ({"type": "array", "items": ITEM}, [part("root", '[{"name":"n","image":null}]'), part("root.0.image", A)],
         [{"name": "n", "image": "image a"}]),
        ({}, [part("x", A), part("x", B), part("n", "1")], {"x": ["file a", "file b"], "n": 1}),
        ({"properties": {"d": NAMED}}, [part("d", '{"a.txt":null,"b":null}'), part("d.a.txt", A), part("d.b", B)],
         {"d": {"a.txt": "image a", "b": "image b"}}),
        (NAMED, [part("b", A), part("b.0", B), part("b.0.txt", A)], {"b": "image a", "b.0": "image b", "b.0.txt": "image a"}),
        ({}, [part("root", A), part("x", "1")], {"root": "file a", "x": 1}),
        (NAMED, [part("root", A)], {"root": "image a"}),
        (NAMED, [part("b", "{}"), part("b.0", B)], {"b": {}, "b.0": "image b"}),
    ],
)  # fmt: skip
def test_values(schema: Any, parts: list[ReceivedPart], value: Any) -> None:
    assert form_value(parts, schema, lambda p, s: f"{'image' if s.get('pil') else 'file'} {p}") == value


def test_names_with_what_a_quoted_text_cannot_hold() -> None:
    body = b'--B\r\ncontent-disposition: form-data; name="a%22b%0D%0A"\r\n\r\n1\r\n--B--\r\n'
    assert [found.name for found in read(body, 1000, Downloads())] == ['a"b\r\n']


def test_a_part_that_is_not_json() -> None:
    with pytest.raises(BentoMLException, match="its part `x` is not JSON"):
        form_value([part("x", "oops")], {}, lambda p, s: p)
