"""How answers become bytes, and that what an API returns wrongly is the service's fault."""

from __future__ import annotations

import enum
import typing
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydantic import AfterValidator, AnyUrl, BaseModel
from starlette.responses import Response

from bentoml.sdk.values.output import Output, OutputError
from bentoml.sdk.values.serde import FileAnswer
from bentoml.validators import ContentType, DType, Shape

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class Item(BaseModel):
    a: int
    b: str = "x"


@dataclass
class Point:
    x: int
    y: str


class Colour(enum.Enum):
    RED = "red"


class TextColour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("annotation", "value", "body", "media_type"),
    [
        pytest.param(typing.Dict, {"a": [1]}, b'{"a":[1]}', JSON, id="typing.Dict alone"),  # noqa: UP006
        pytest.param(typing.List, [{"a": 1}], b'[{"a":1}]', JSON, id="typing.List alone"),  # noqa: UP006
        pytest.param(str, "é", "é".encode(), TEXT, id="text"),
        pytest.param(Literal["a"], "a", b"a", TEXT, id="literal text"),
        pytest.param(Colour, Colour.RED, b'"red"', JSON, id="enum of text"),
        pytest.param(datetime, datetime(2026, 1, 2), b'"2026-01-02T00:00:00"', JSON, id="time"),
        pytest.param(Annotated[str, ContentType("text/html")], "<p>", b"<p>", "text/html; charset=utf-8", id="declared text"),
        pytest.param(Annotated[str, ContentType("text/csv; charset=utf-8")], "a", b"a", "text/csv; charset=utf-8", id="declared charset"),
        pytest.param(Annotated[str, ContentType("image/svg+xml")], "<svg/>", b"<svg/>", "image/svg+xml", id="declared type"),
        pytest.param(Annotated[str, AfterValidator(str.upper)], "a", b"A", TEXT, id="checked text"),
        pytest.param(TextColour, TextColour.RED, b"red", TEXT, id="enum that is text"),
        pytest.param(Literal["a", 1], "a", b'"a"', JSON, id="literal of several types"),
        pytest.param(date, date(2026, 1, 2), b'"2026-01-02"', JSON, id="day"),
        pytest.param(UUID, UUID(int=1), b'"00000000-0000-0000-0000-000000000001"', JSON, id="uuid"),
        pytest.param(Decimal, Decimal("1.50"), b'"1.50"', JSON, id="decimal"),
        pytest.param(AnyUrl, "http://a.b/", b'"http://a.b/"', JSON, id="address"),
        pytest.param(bytes, b"\xff", b"\xff", TEXT, id="bytes"),
        pytest.param(Annotated[bytes, ContentType("audio/wav")], b"x", b"x", "audio/wav", id="typed bytes"),
        pytest.param(int, 3, b"3", JSON, id="int"),
        pytest.param(int, np.int64(3), b"3", JSON, id="numpy int"),
        pytest.param(float, 1.0, b"1.0", JSON, id="float"),
        pytest.param(float, np.float32(0.5), b"0.5", JSON, id="numpy float"),
        pytest.param(float, float("nan"), b"null", JSON, id="nan"),
        pytest.param(list[float], [float("inf")], b"[null]", JSON, id="infinity"),
        pytest.param(dict, {"a": float("nan")}, b'{"a":null}', JSON, id="nan in a dict"),
        pytest.param(bool, True, b"true", JSON, id="bool"),
        pytest.param(None, None, b"null", JSON, id="none"),
        pytest.param(Any, "text", b'"text"', JSON, id="any text"),
        pytest.param(Any, {"é": 1}, '{"é":1}'.encode(), JSON, id="any"),
        pytest.param(Any, {1: 2**70}, b'{"1":1180591620717411303424}', JSON, id="what orjson does not know"),
        pytest.param(Any, {"a": np.arange(2), "b": np.float32(1), "c": {1}}, b'{"a":[0,1],"b":1.0,"c":[1]}', JSON, id="numpy in any"),
        pytest.param(Any, [Item(a=1)], b'[{"a":1,"b":"x"}]', JSON, id="model in any"),
        pytest.param(Any, datetime(2026, 1, 2, tzinfo=UTC), b'"2026-01-02T00:00:00Z"', JSON, id="time in any"),
        pytest.param(dict[str, Any], {"a": Point(1, "q")}, b'{"a":{"x":1,"y":"q"}}', JSON, id="dataclass in dict"),
        pytest.param(list[dict[str, Any]], [{"a": 1}], b'[{"a":1}]', JSON, id="records"),
        pytest.param(list, np.arange(3), b"[0,1,2]", JSON, id="array as list"),
        pytest.param(list[int], (1, 2), b"[1,2]", JSON, id="tuple as list"),
        pytest.param(list[list[float]], [[1, 0.1], (2.5,)], b"[[1.0,0.1],[2.5]]", JSON, id="lists of floats"),
        pytest.param(dict[str, int], {"a": 2**70}, b'{"a":1180591620717411303424}', JSON, id="large integers"),
        pytest.param(dict[int, str], {1: "a"}, b'{"1":"a"}', JSON, id="integer keys"),
        pytest.param(tuple[int, ...], [1], b"[1]", JSON, id="tuple"),
        pytest.param(set[int], {1}, b"[1]", JSON, id="set"),
        pytest.param(float | str, "str", b'"str"', JSON, id="union text"),
        pytest.param(float | str, 0.5, b"0.5", JSON, id="union number"),
        pytest.param(str | None, None, b"null", JSON, id="optional"),
        pytest.param(Item, Item(a=1), b'{"a":1,"b":"x"}', JSON, id="model"),
        pytest.param(Item, {"a": 1}, b'{"a":1,"b":"x"}', JSON, id="model from dict"),
        pytest.param(list[Item], [Item(a=1)], b'[{"a":1,"b":"x"}]', JSON, id="models"),
        pytest.param(Point, Point(1, "q"), b'{"x":1,"y":"q"}', JSON, id="dataclass"),
        pytest.param(npt.NDArray[Any], np.ones((1, 2)), b"[[1.0,1.0]]", JSON, id="array"),
        pytest.param(npt.NDArray[Any], np.arange(4)[::2], b"[0,2]", JSON, id="array with gaps"),
        pytest.param(npt.NDArray[Any], [[1]], b"[[1]]", JSON, id="list as array"),
        pytest.param(npt.NDArray[Any], np.array([np.nan]), b"[null]", JSON, id="nan in an array"),
        pytest.param(Annotated[npt.NDArray[Any], DType("int64"), Shape((2,))], np.array([1.0, 2.0]), b"[1,2]", JSON, id="array of a dtype"),
        pytest.param(dict[str, npt.NDArray[Any]], {"a": np.arange(2)}, b'{"a":[0,1]}', JSON, id="array in a dict"),
        pytest.param(Response, {"a": 1}, b'{"a":1}', JSON, id="response annotation"),
        pytest.param(Response | dict[str, Any], {"a": 1}, b'{"a":1}', JSON, id="response or not"),
    ],
)  # fmt: skip
def test_encode(annotation: Any, value: object, body: bytes, media_type: str) -> None:
    assert Output(annotation).encode(value) == (body, media_type)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        pytest.param(int, "abc", id="int"),
        pytest.param(str, 1, id="text"),
        pytest.param(str, "\ud800", id="lone surrogate"),
        pytest.param(Item, {"b": "x"}, id="model"),
        pytest.param(dict, [1], id="dict"),
        pytest.param(Any, object(), id="no JSON"),
        pytest.param(dict[str, Any], {1: 2}, id="keys"),
        pytest.param(npt.NDArray[Any], [[1], [1, 2]], id="ragged"),
        pytest.param(npt.NDArray[Any], "text", id="text for array"),
        pytest.param(Annotated[npt.NDArray[Any], Shape((3,))], np.ones(2), id="shape"),
        pytest.param(Path, "/does/not/exist", id="no file"),
        pytest.param(Path, 3, id="no path"),
        pytest.param(Image.Image, "text", id="no image"),
        pytest.param(list[Image.Image], ["text"], id="no images"),
    ],
)
def test_a_wrong_value_is_the_fault_of_the_service(annotation: Any, value: object) -> None:
    with pytest.raises(OutputError) as caught:
        Output(annotation).encode(value)
    assert caught.value.error_code == 500
    assert type(value).__name__ in caught.value.message


def test_files(tmp_path: Path) -> None:
    text, image, odd = tmp_path / "out.txt", tmp_path / "out.png", tmp_path / "odd"
    drawing = tmp_path / "out.svg"
    for path in (text, image, odd, drawing):
        path.touch()
    output = Output(Annotated[Path, ContentType("video/mp4")])
    assert output.encode(text) == (FileAnswer(text, "text/plain", "out.txt", "attachment"), "text/plain")
    assert output.encode(str(image)) == (FileAnswer(image, "image/png", "out.png", "inline"), "image/png")
    drawn = FileAnswer(drawing, "image/svg+xml", "out.svg", "attachment")  # whose scripts a browser would run
    assert output.encode(drawing)[0] == drawn
    assert output.encode(odd)[1] == "video/mp4"
    assert Output(Path).encode(odd)[1] == "application/octet-stream"
    assert Output(Annotated[Path, ContentType("video/*")]).encode(odd)[1] == "application/octet-stream"
    assert Output(Path | None).encode(None) == (b"null", JSON)
    assert Output(Path | None).encode(text)[1] == "text/plain"


def test_images() -> None:
    image = Image.new("RGB", (2, 3), "red")
    body, media_type = Output(Image.Image).encode(image)
    assert (body[:8], media_type) == (b"\x89PNG\r\n\x1a\n", "image/png")
    body, media_type = Output(Annotated[Image.Image, ContentType("image/jpeg")]).encode(image)
    assert (body[:3], media_type) == (b"\xff\xd8\xff", "image/jpeg")
    image.format = "GIF"
    assert Output(Image.Image).encode(image)[1] == "image/gif"
    with pytest.raises(OutputError):  # JPEG has no floats
        Output(Annotated[Image.Image, ContentType("image/jpeg")]).encode(Image.new("F", (1, 1)))


@pytest.mark.parametrize(
    ("annotation", "value", "chunk"),
    [
        pytest.param(AsyncGenerator[str, None], "é", "é".encode(), id="text"),
        pytest.param(Generator[bytes, None, None], b"\xff", b"\xff", id="bytes"),
        pytest.param(Iterator[dict[str, int]], {"a": 1}, b'{"a":1}\n', id="JSON"),
        pytest.param(AsyncGenerator[Item, None], Item(a=1), b'{"a":1,"b":"x"}\n', id="model"),
        pytest.param(AsyncGenerator[npt.NDArray[Any], None], np.arange(2), b"[0,1]\n", id="array"),
        pytest.param(Generator, "text", b"text", id="anything"),
    ],
)
def test_streams(annotation: Any, value: object, chunk: bytes) -> None:
    output = Output(annotation)
    assert output.is_stream
    assert output.media_type == "text/event-stream"
    assert output.schema()["is_stream"] is True
    assert output.encode_chunk(value) == chunk


def test_a_stream_that_is_not_annotated() -> None:
    output = Output(Any, is_stream=True)
    assert output.encode_chunk("text") == b"text"
    assert output.encode_chunk(1) == b"1\n"


def test_the_declared_type_of_a_stream() -> None:
    for annotation in (
        Annotated[AsyncGenerator[str, None], ContentType("text/plain")],
        AsyncGenerator[Annotated[str, ContentType("text/plain")], None],
    ):
        output = Output(annotation)
        assert output.media_type == "text/plain"
        assert output.schema() == {"type": "string", "is_stream": True, "media_type": "text/plain"}


def test_a_wrong_chunk() -> None:
    with pytest.raises(OutputError):
        Output(Generator[int, None, None]).encode_chunk("abc")
    with pytest.raises(OutputError, match="one step of a stream"):
        Output(Generator[Path, None, None]).encode_chunk(Path("x"))


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        pytest.param(str, {"type": "string"}, id="text"),
        pytest.param(Any, {}, id="any"),
        pytest.param(None, {"type": "null"}, id="none"),
        pytest.param(bytes, {"type": "string", "format": "binary"}, id="bytes"),
        pytest.param(float | str, {"anyOf": [{"type": "number"}, {"type": "string"}]}, id="union"),
        pytest.param(npt.NDArray[np.float32], {"type": "tensor", "format": "numpy-array", "dtype": "float32", "contentMediaType": "application/x-npy"}, id="array"),
        pytest.param(Annotated[Path, ContentType("text/csv")], {"type": "file", "format": "text", "content_type": "text/csv"}, id="file of text"),
        pytest.param(Annotated[Path, ContentType("*")], {"type": "file", "format": "binary", "content_type": "*"}, id="any file"),
        pytest.param(Annotated[Path, ContentType("video/*")], {"type": "file", "format": "video", "content_type": "video/*"}, id="file"),
        pytest.param(Image.Image, {"type": "file", "format": "image", "pil": True}, id="image"),
        pytest.param(list[Path], {"type": "array", "items": {"type": "file", "format": "binary"}}, id="files"),
    ],
)  # fmt: skip
def test_schema(annotation: Any, schema: dict[str, Any]) -> None:
    assert Output(annotation).schema() == schema


def test_an_annotation_that_no_answer_can_have() -> None:
    class Unknown: ...

    with pytest.raises(TypeError, match="Unknown"):
        Output(Unknown)
