"""How request bodies become arguments, and what a caller is told when they do not."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import BaseModel, Field, ValidationError
from typing_extensions import TypedDict

import bentoml
from bentoml.exceptions import BadInput
from bentoml.sdk.method import APIMethod
from bentoml.sdk.values.serde import Input, Part
from bentoml.validators import ContentType, DType, Shape


class Params(BaseModel):
    steps: int
    scale: float = 7.5


@dataclass
class Point:
    x: int
    y: str = "q"


class Row(TypedDict):
    a: int


class Colour(enum.Enum):
    RED = "red"


class Everything:
    def numbers(self, i: int, f: float, b: bool) -> None: ...
    def containers(
        self, a: list[int], b: dict[str, float], c: tuple[int, str], d: set[int], e: Literal["x", 1]
    ) -> None: ...
    def types(  # type: ignore[no-untyped-def]  # a parameter without an annotation is a case
        self,
        p: Params,
        d: Point,
        r: Row,
        c: Colour,
        when: datetime,
        u: int | str,
        x: Any,
        y,  # not annotated
    ) -> None: ...
    def defaults(
        self,
        prompt: str = "hello",
        tokens: Optional[list[int]] = None,  # noqa: UP045  # as users of 1.x write it
        labels: list[str] = ["a", "b"],  # noqa: B006  # mutable defaults are allowed
        n: int = Field(default=3, ge=2, description="how many"),
    ) -> None: ...
    def awkward(self, schema: int, model_config: int, _hidden: int, json: int = 4) -> None: ...
    def array(self, a: np.ndarray) -> None: ...
    def typed(
        self, a: npt.NDArray[np.float32], b: Annotated[npt.NDArray[Any], Shape((2, -1)), DType("int64")]
    ) -> None: ...
    def files(self, a: Path, b: Path | None = None, c: list[Path] = [], note: str = "") -> None: ...  # noqa: B006  # see above
    def audio(self, a: Annotated[Path, ContentType("audio/mp3")]) -> None: ...
    def spread(self, a: int = 1, **kwargs: int) -> None: ...
    def binary(self, data: bytes, note: str = "") -> None: ...
    def root_model(self, p: Params, /) -> None: ...
    def root_list(self, p: list[int], /) -> None: ...
    def root_object(self, p: dict[str, int], /) -> None: ...
    def root_text(self, text: str, /) -> None: ...
    def root_maybe_text(self, text: str | None, /) -> None: ...
    def root_short_text(self, text: Annotated[str, Field(max_length=9)] = "x", /) -> None: ...
    def root_colour(self, text: Colour, /) -> None: ...
    def root_maybe_day(self, text: date | None, /) -> None: ...
    def root_bytes(self, text: bytes, /) -> None: ...
    def root_maybe_bytes(self, text: bytes | None, /) -> None: ...
    def root_maybe_file(self, file: Optional[Path], /) -> None: ...  # noqa: UP045  # both spellings
    def root_default(self, p: list[int] = [1], /) -> None: ...  # noqa: B006  # see above
    def root_bound(self, n: int = Field(default=3, ge=2), /) -> None: ...
    def root_file(self, file: Annotated[Path, ContentType("image/*")], /) -> None: ...
    def two_positional(self, a: int, /, b: int) -> None: ...
    def variadic(self, *args: int) -> None: ...
    def unknown(self, a: threading_lock) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # the case


def input_of(name: str) -> Input:
    return APIMethod(getattr(Everything, name)).input


def errors(error: ValidationError) -> list[tuple[str, tuple[int | str, ...], str]]:
    return [(e["type"], e["loc"], e["msg"]) for e in error.errors()]


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        pytest.param("numbers", {"i": 7, "f": 1, "b": True}, {"i": 7, "f": 1.0, "b": True}, id="numbers"),
        pytest.param("numbers", {"i": "7", "f": "1.5", "b": "yes"}, {"i": 7, "f": 1.5, "b": True}, id="lax"),
        pytest.param(
            "containers",
            {"a": [1], "b": {"k": 1}, "c": [1, "x"], "d": [1, 1], "e": 1},
            {"a": [1], "b": {"k": 1.0}, "c": (1, "x"), "d": {1}, "e": 1},
            id="containers",
        ),
        pytest.param(
            "types",
            {
                "p": {"steps": 1},
                "d": {"x": 1},
                "r": {"a": 1},
                "c": "red",
                "when": "2026-01-02T03:04:05",
                "u": "5",
                "x": {"any": [None]},
                "y": 1.5,
            },
            {
                "p": Params(steps=1),
                "d": Point(1),
                "r": {"a": 1},
                "c": Colour.RED,
                "when": datetime(2026, 1, 2, 3, 4, 5),
                "u": "5",
                "x": {"any": [None]},
                "y": 1.5,
            },
            id="types",
        ),
        pytest.param(
            "defaults", {}, {"prompt": "hello", "tokens": None, "labels": ["a", "b"], "n": 3}, id="defaults"
        ),
        pytest.param(
            "defaults",
            {"tokens": [1], "unknown": 1},
            {"prompt": "hello", "tokens": [1], "labels": ["a", "b"], "n": 3},
            id="unknown keys are ignored",
        ),
        pytest.param(
            "awkward",
            {"schema": 1, "model_config": 2, "_hidden": 3},
            {"schema": 1, "model_config": 2, "_hidden": 3, "json": 4},
            id="names that pydantic keeps for itself",
        ),
        pytest.param("spread", {"kwargs": {"b": 2}}, {"a": 1, "b": 2}, id="kwargs"),
        pytest.param("spread", {"a": 5, "kwargs": {"a": 2}}, {"a": 5}, id="kwargs never replace a parameter"),
        pytest.param("root_model", {"steps": 2}, {"p": Params(steps=2)}, id="root model"),
        pytest.param("root_list", [1, 2], {"p": [1, 2]}, id="root list"),
    ],
)
def test_json(name: str, body: object, expected: dict[str, object]) -> None:
    assert input_of(name).from_json(json.dumps(body).encode()) == expected


def test_an_empty_body_is_an_empty_object() -> None:
    assert input_of("defaults").from_json(b"")["prompt"] == "hello"
    assert input_of("root_default").from_json(b"") == {"p": [1]}
    assert input_of("root_bound").from_json(b"") == {"n": 3}
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        input_of("root_bound").from_json(b"1")


def test_a_mutable_default_is_never_shared() -> None:
    decode = input_of("defaults").from_json
    decode(b"{}")["labels"].append("changed")
    assert decode(b"{}")["labels"] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "body", "title", "expected"),
    [
        pytest.param(
            "numbers", b'{"i": 7.5, "b": true}', "Input",
            [
                ("int_from_float", ("i",), "Input should be a valid integer, got a number with a fractional part"),
                ("missing", ("f",), "Field required"),
            ],
            id="several fields",
        ),
        pytest.param("numbers", b"[1]", "Input", [("model_type", (), "Input should be an object")], id="no object"),
        pytest.param(
            "numbers", b"{", "Input",
            [("json_invalid", (), "Invalid JSON: EOF while parsing an object at line 1 column 1")],
            id="no JSON",
        ),
        pytest.param(
            "containers", b'{"a":["x"],"b":{},"c":[1,"x"],"d":[],"e":"x"}', "Input",
            [("int_parsing", ("a", 0), "Input should be a valid integer, unable to parse string as an integer")],
            id="an item of a list",
        ),
        pytest.param(
            "defaults", b'{"n": 1}', "Input",
            [("greater_than_equal", ("n",), "Input should be greater than or equal to 2")],
            id="a bound",
        ),
        pytest.param("spread", b'{"b": 2}', "Input", [("missing", ("kwargs",), "Field required")], id="keywords beside their object"),
        pytest.param("root_model", b"{}", "ParamsIODescriptor", [("missing", ("steps",), "Field required")], id="root model"),
        pytest.param(
            "root_list", b'["x"]', "listIODescriptor",
            [("int_parsing", ("root", 0), "Input should be a valid integer, unable to parse string as an integer")],
            id="root item",
        ),
        pytest.param(
            "root_object", b'{"a": "x"}', "dictIODescriptor",
            [("int_parsing", ("root", "a"), "Input should be a valid integer, unable to parse string as an integer")],
            id="root object that is no model",
        ),
        pytest.param("root_list", b"", "listIODescriptor", [("list_type", ("root",), "Input should be a valid array")], id="empty root"),
        pytest.param(
            "root_list", b"[1", "listIODescriptor",
            [("json_invalid", (), "Invalid JSON: EOF while parsing a list at line 1 column 2")],
            id="root without JSON",
        ),
        pytest.param("files", b'{"a": "/etc/hostname"}', "Input", [("path_type", ("a",), "Invalid file type")], id="path"),
        pytest.param(
            "files", b'{"a": "/x", "b": "/etc/hostname", "c": ["/x"]}', "Input",
            [("path_type", ("a",), "Invalid file type"), ("path_type", ("b",), "Invalid file type"),
             ("path_type", ("c", 0), "Invalid file type")],
            id="paths everywhere",
        ),
    ],
)  # fmt: skip
def test_what_the_caller_did_wrong(
    name: str, body: bytes, title: str, expected: list[tuple[str, tuple[int | str, ...], str]]
) -> None:
    with pytest.raises(ValidationError) as caught:
        input_of(name).from_json(body)
    assert caught.value.title == title
    assert errors(caught.value) == expected


def test_arrays() -> None:
    array = input_of("array").from_json(b'{"a": [[1, 2.5], [3, null]]}')["a"]
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, [[1, 2.5], [3, np.nan]])
    typed = input_of("typed").from_json(b'{"a": [1, 2], "b": [1, 2, 3, 4]}')
    assert typed["a"].dtype == np.float32
    assert typed["b"].dtype == np.int64
    assert typed["b"].tolist() == [[1, 2], [3, 4]]


def test_nan_that_only_one_json_reader_takes() -> None:
    assert np.isnan(input_of("array").from_json(b'{"a": [NaN]}')["a"]).all()


def test_an_array_that_is_none_is_told_as_any_other_field() -> None:
    with pytest.raises(ValidationError) as caught:
        input_of("array").from_json(b'{"a": [[1], [1, 2]]}')
    assert errors(caught.value)[0][:2] == ("value_error", ("a",))
    with pytest.raises(ValidationError) as caught:
        input_of("array").from_json(b"[1]")
    assert errors(caught.value) == [("model_type", (), "Input should be an object")]


def test_a_form(tmp_path: Path) -> None:
    uploaded = tmp_path / "already"
    uploaded.write_bytes(b"there")
    parts = [
        Part("a", "../../etc/a.txt", "text/plain", b"content"),
        Part("b", "b.bin", None, None, uploaded),
        Part("c", "1", None, b"1"),
        Part("c", "2", None, b"2"),
        Part("note", data=b"3"),
        Part("unknown", data=b"x"),
    ]
    got = input_of("files").from_parts(parts, lambda: tmp_path)
    assert got["a"].parent == tmp_path
    assert got["a"].name.endswith("a.txt")
    assert got["a"].read_bytes() == b"content"
    assert got["b"] == uploaded
    assert [p.read_bytes() for p in got["c"]] == [b"1", b"2"]
    assert got["note"] == "3"  # a string, though it looks like a number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param({"i": "3", "f": "1", "b": "true"}, {"i": 3, "f": 1.0, "b": True}, id="JSON"),
        pytest.param({"i": '"3"', "f": "1e1", "b": "yes"}, {"i": 3, "f": 10.0, "b": True}, id="text"),
    ],
)
def test_texts_of_a_form(text: dict[str, str], expected: dict[str, object]) -> None:
    parts = [Part(name, data=value.encode()) for name, value in text.items()]
    assert input_of("numbers").from_parts(parts) == expected


@pytest.mark.parametrize("content", [b"\xff\x00", b"123", b'{"a": 1}', "é".encode()])
def test_bytes_of_a_form(content: bytes) -> None:
    assert input_of("binary").from_parts([Part("data", "a.bin", None, content)])["data"] == content
    with pytest.raises(ValidationError, match="note"):
        input_of("binary").from_parts([Part("data", data=b""), Part("note", data=b"\xff")])


def test_large_integers_of_a_form_stay_exact() -> None:
    parts = [Part("i", data=str(2**70 + 1).encode()), Part("f", data=b"1"), Part("b", data=b"1")]
    assert input_of("numbers").from_parts(parts)["i"] == 2**70 + 1


def test_a_list_of_texts_in_a_form() -> None:
    parts = [Part("labels", data=b"x"), Part("labels", data=b"y"), Part("tokens", data=b"[1, 2]")]
    got = input_of("defaults").from_parts(parts)
    assert got["labels"] == ["x", "y"]
    assert got["tokens"] == [1, 2]


def test_a_list_of_one_in_a_form() -> None:
    parts = [Part("labels", data=b"3"), Part("tokens", data=b"4")]
    arguments = input_of("defaults").from_parts(parts)
    assert (arguments["labels"], arguments["tokens"]) == (["3"], [4])


@pytest.mark.parametrize("said", ["", "application/octet-stream", "application/x-www-form-urlencoded"])
def test_a_file_whose_sender_does_not_say_its_type(said: str, tmp_path: Path) -> None:
    assert input_of("root_file").from_raw(b"abc", said, lambda: tmp_path)["file"].read_bytes() == b"abc"


def test_a_file_that_is_left_out_or_null(tmp_path: Path) -> None:
    for part in (Part("b", "", None, b""), Part("b", data=b"null")):
        got = input_of("files").from_parts([Part("a", "a", None, b"x"), part], lambda: tmp_path)
        assert got["b"] is None


@pytest.mark.parametrize(
    ("part", "kind", "message"),
    [
        pytest.param(Part("a", data=b"/etc/passwd"), "path_type", "Invalid file type", id="a path"),
        pytest.param(Part("a", data=b"http://127.0.0.1/"), "path_type", "Invalid file type", id="a URL"),
        pytest.param(
            Part("a", "a.wav", "audio/wav", b""),
            "value_error",
            "Value error, Invalid content type audio/wav, expected audio/mp3",
            id="media type",
        ),
    ],
)
def test_a_part_that_is_not_the_file(part: Part, kind: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        input_of("audio").from_parts([part], lambda: tmp_path)
    assert errors(caught.value) == [(kind, ("a",), message)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "media_type", "is_file"),
    [
        (b"", "", False),
        (b"", "application/json", False),
        (b"null", "application/json", False),
        (b"", "text/plain", True),
        (b"null", "text/plain", True),
        (b"null", "", True),
        (b"{}", "application/json", True),
    ],
)
def test_no_file_for_a_root_that_may_be_none(
    body: bytes, media_type: str, is_file: bool, tmp_path: Path
) -> None:
    file = input_of("root_maybe_file").from_raw(body, media_type, lambda: tmp_path)["file"]
    assert (file.read_bytes() == body) if is_file else (file is None)


def test_raw_bodies(tmp_path: Path) -> None:
    text = input_of("root_text")
    assert (text.root, text.is_raw, text.files) == (True, True, frozenset())
    assert text.from_raw('"é'.encode(), "application/json", lambda: tmp_path) == {"text": '"é'}
    assert text.from_json(b"") == {"text": ""}
    with pytest.raises(BadInput):
        text.from_json(b"\xff")
    file = input_of("root_file")
    assert (file.root, file.is_raw, file.files) == (True, True, frozenset({"file"}))
    assert file.from_raw(b"x", "image/png", lambda: tmp_path)["file"].read_bytes() == b"x"
    with pytest.raises(ValidationError) as caught:
        file.from_raw(b"x", "text/plain", lambda: tmp_path)
    assert caught.value.title == "PathIODescriptor"
    with pytest.raises(BadInput, match="without a form"):
        file.from_parts([], lambda: tmp_path)


@pytest.mark.parametrize(
    ("api", "body", "plain", "json"),
    [
        ("root_text", b'"a"', '"a"', '"a"'),
        ("root_short_text", b"null", "null", "null"),
        ("root_bytes", b'"a"', b'"a"', b'"a"'),
        ("root_bytes", b"null", b"null", b"null"),
        ("root_maybe_bytes", b"null", b"null", None),
        ("root_maybe_bytes", b"", b"", b""),
        ("root_maybe_text", b"", "", ""),
        ("root_maybe_text", b'"a"', '"a"', "a"),
        ("root_maybe_text", b"a", "a", "a"),
        ("root_maybe_text", b"3", "3", "3"),
        ("root_maybe_text", b"null", "null", None),
        ("root_colour", b"red", Colour.RED, Colour.RED),
        ("root_colour", b'"red"', None, Colour.RED),
        ("root_maybe_day", b'"2026-01-02"', None, date(2026, 1, 2)),
    ],
)
def test_json_says_a_root_that_is_not_any_text(
    api: str, body: bytes, plain: Any, json: Any, tmp_path: Path
) -> None:
    read = input_of(api).from_raw
    assert read(body, "application/json", lambda: tmp_path) == {"text": json}
    if plain is None:
        with pytest.raises(ValidationError):
            read(body, "text/plain", lambda: tmp_path)
    else:
        assert read(body, "text/plain", lambda: tmp_path) == {"text": plain}


def test_schemas() -> None:
    assert input_of("defaults").schema() == {
        "title": "Input",
        "type": "object",
        "properties": {
            "prompt": {"default": "hello", "title": "Prompt", "type": "string"},
            "tokens": {
                "items": {"type": "integer"},
                "type": "array",
                "default": None,
                "title": "Tokens",
                "nullable": True,
            },
            "labels": {
                "default": ["a", "b"],
                "items": {"type": "string"},
                "title": "Labels",
                "type": "array",
            },
            "n": {"default": 3, "description": "how many", "minimum": 2, "title": "N", "type": "integer"},
        },
    }
    assert input_of("typed").schema()["properties"]["b"] == {
        "type": "tensor", "format": "numpy-array", "dtype": "int64", "shape": [2, -1], "dim": 2, "title": "B",
        "contentMediaType": "application/x-npy",
    }  # fmt: skip
    files = input_of("files").schema()["properties"]
    assert files["a"] == {"type": "file", "format": "binary", "title": "A"}
    assert files["b"]["type"] == "file"
    assert files["c"]["items"] == {"type": "file", "format": "binary"}
    audio = {"type": "file", "format": "audio", "content_type": "audio/mp3", "title": "A"}
    assert input_of("audio").schema()["properties"]["a"] == audio
    assert input_of("root_model").schema()["root_input"] is True
    assert input_of("root_text").schema() == {"type": "string", "root_input": True}
    assert "$ref" not in json.dumps(input_of("types").schema())


class Spec(BaseModel):
    file: Path
    vector: Annotated[npt.NDArray[Any], DType("float32")] = Field(default_factory=lambda: np.zeros(0))

    model_config = {"arbitrary_types_allowed": True}


def test_input_spec(tmp_path: Path) -> None:
    @bentoml.api(input_spec=Spec)
    def method(self: object, **kwargs: object) -> None: ...

    given = method.input
    assert given.files == {"file"}
    parts = [Part("file", "a", None, b"x"), Part("vector", data=b"[1, 2]")]
    got = given.from_parts(parts, lambda: tmp_path)
    assert got["file"].read_bytes() == b"x"
    assert got["vector"].dtype == np.float32
    with pytest.raises(ValidationError) as caught:
        given.from_json(b'{"file": "/etc/passwd"}')
    assert (caught.value.title, errors(caught.value)[0][2]) == ("SpecIODescriptor", "Invalid file type")


def test_a_path_in_a_model_is_not_the_servers() -> None:
    class Nested(BaseModel):
        path: Path
        inner: list[Spec] = []

    def method(self: object, nested: Nested) -> None: ...

    method.__annotations__["nested"] = Nested
    with pytest.raises(ValidationError, match="Invalid file type"):
        APIMethod(method).input.from_json(b'{"nested": {"path": "/etc/passwd"}}')


@pytest.mark.parametrize("name", ["two_positional", "variadic"])
def test_signatures_that_no_request_can_have(name: str) -> None:
    with pytest.raises(TypeError, match="Unable to infer the input spec for function"):
        input_of(name)


def test_an_annotation_that_is_not_known() -> None:
    with pytest.raises(NameError, match="threading_lock"):
        input_of("unknown")
