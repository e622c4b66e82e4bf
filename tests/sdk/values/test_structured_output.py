"""Answers with arrays, tables and files in them, and what a caller may ask an array to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import BaseModel, Field, computed_field, field_serializer

import bentoml
from bentoml.sdk.values.files import FileAnswer
from bentoml.sdk.values.form_answer import FormAnswer
from bentoml.sdk.values.npy import NPY, prefers_npy, read_npy
from bentoml.sdk.values.output import Output, OutputError
from bentoml.validators import ContentType, DType

JSON = "application/json"


class Report(BaseModel):
    file: Path
    score: float
    extra: Path | None = None
    pictures: list[Image.Image] = []

    model_config = {"arbitrary_types_allowed": True}

    @computed_field  # type: ignore[prop-decorator]  # as pydantic has it
    @property
    def double(self) -> float:
        return self.score * 2


@dataclass
class Scan:
    array: np.ndarray
    file: Path


class Pair(NamedTuple):
    file: Path
    note: str


class Folder(TypedDict):
    files: list[Path]
    name: str


class Measured(bentoml.IODescriptor):
    a: np.ndarray
    typed: Annotated[np.ndarray, DType("float32")] | None = None
    n: int = Field(default=1, serialization_alias="count")

    @field_serializer("n")
    def text(self, n: int) -> str:
        return f"{n}!"


def form(annotation: Any, value: object) -> list[tuple[str, str | None, str, bytes]]:
    """Return the parts of an answer, each file by what is in it."""
    answer, media_type = Output(annotation).encode(value)
    assert media_type == Output(annotation).media_type == "multipart/form-data"
    assert isinstance(answer, FormAnswer)
    return [
        (
            p.name,
            p.filename,
            p.media_type,
            p.content.read_bytes() if isinstance(p.content, Path) else p.content,
        )
        for p in answer.parts
    ]


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(b"hello")
    return path


def test_answers_of_several_files(note: Path) -> None:
    sent = ("a.txt", "text/plain", b"hello")
    assert form(Report, Report(file=note, score=0.5)) == [
        ("file", *sent),
        ("score", None, JSON, b"0.5"),
        ("extra", None, JSON, b"null"),
        ("pictures", None, JSON, b"[]"),
        ("double", None, JSON, b"1.0"),
    ]
    assert form(Report, {"file": note, "score": 1, "extra": str(note)})[2] == ("extra", *sent)
    assert form(Scan, Scan(np.arange(2), note)) == [("array", None, JSON, b"[0,1]"), ("file", *sent)]
    assert form(Folder, {"files": [note, note], "name": "n"}) == [("files", *sent), ("files", *sent), ("name", None, JSON, b'"n"')]  # fmt: skip
    assert form(dict[str, Path], {"a": note}) == [("a", *sent)]
    assert form(dict[str, Path], {}) == []
    assert form(list[Path], [note]) == [("root", *sent)]
    assert form(list[Path], []) == [("root", None, JSON, b"[]")]
    assert form(list[Path | None], [note, None]) == [("root", *sent), ("root", None, JSON, b"null")]
    assert form(tuple[Path, str], (note, "x")) == [("root", *sent), ("root", None, JSON, b'"x"')]
    assert form(Pair, Pair(note, "x")) == [("root", *sent), ("root", None, JSON, b'"x"')]


def test_files_deeper_in_an_answer(note: Path) -> None:
    sent = ("a.txt", "text/plain", b"hello")
    assert form(list[Scan], [Scan(np.arange(1), note)]) == [("root", None, JSON, b'[{"array":[0],"file":null}]'), ("root.0.file", *sent)]  # fmt: skip
    assert form(dict[str, dict[str, Path]], {"a": {"b": note}}) == [
        ("a", None, JSON, b'{"b":null}'),
        ("a.b", *sent),
    ]


def test_a_file_or_nothing_of_a_media_type(note: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.touch()
    output = Output(Annotated[Path | None, ContentType("application/pdf")])
    assert output.encode(None) == (b"null", JSON)
    assert output.encode(odd)[1] == "application/pdf"
    assert form(Annotated[list[Path], ContentType("application/pdf")], [odd])[0][2] == "application/pdf"


def test_a_file_or_something_else(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(note.parent)
    for annotation in (
        Path | str,
        str | Path,
        Path | str | None,
        Annotated[Path | str, Field(description="x")],
    ):
        output = Output(annotation)
        assert output.encode(note) == (FileAnswer(note, "text/plain", "a.txt", "attachment"), "text/plain")
        assert output.encode("a.txt") == (b'"a.txt"', JSON)  # a text, though there is a file of that name
    assert Output(Path | dict[str, int]).encode({"a": 1}) == (b'{"a":1}', JSON)
    assert Output(Image.Image | str).encode("x") == (b'"x"', JSON)
    assert Output(Image.Image | str).encode(Image.new("L", (1, 1)))[1] == "image/png"
    assert form(list[Path] | None, [note])[0][0] == "root"
    assert Output(list[Path] | None).encode(None) == (b"null", JSON)


def test_pictures_of_an_answer() -> None:
    red = Image.new("RGB", (1, 1), "red")
    parts = form(dict[str, Annotated[Image.Image, ContentType("image/jpeg")]], {"a": red})
    assert [(name, filename, kind, data[:2]) for name, filename, kind, data in parts] == [
        ("a", "image.jpeg", "image/jpeg", b"\xff\xd8")
    ]
    assert [part[2] for part in form(list[Image.Image], [red, red])] == ["image/png"] * 2


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        pytest.param(list[Path], ["/does/not/exist"], id="no file"),
        pytest.param(dict[str, Path], {"a": 3}, id="no path"),
        pytest.param(Report, {"score": 1}, id="missing"),
        pytest.param(dict[str, Annotated[Image.Image, ContentType("image/jpeg")]], {"a": Image.new("F", (1, 1))}, id="format"),
        pytest.param(Report, Report.model_construct(file=Path("/does/not/exist"), score=1), id="made without a look"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_sent(annotation: Any, value: object) -> None:
    with pytest.raises(OutputError):
        Output(annotation).encode(value)


def test_structures_with_arrays() -> None:
    expected = b'{"a":[0,1],"typed":[0.5],"count":"3!"}'
    own = Measured(a=np.arange(2), typed=np.array([0.5]), n=3)
    for value in (own, {"a": np.arange(2), "typed": [0.5], "n": 3}):
        assert Output(Measured).encode(value) == (expected, JSON)
    assert Output(list[Measured]).encode([own]) == (b"[" + expected + b"]", JSON)
    assert Output(dict[str, Any]).encode({"a": own})[0] == b'{"a":' + expected + b"}"
    assert (
        Output(Measured).encode(Measured(a=np.array([np.nan])))[0]
        == b'{"a":[null],"typed":null,"count":"1!"}'
    )
    for wrong in ({"a": "x"}, {"a": [[1], [1, 2]]}, {}, 3, Measured.model_construct(a="x")):
        with pytest.raises(OutputError):
            Output(Measured).encode(wrong)
    assert Output(Measured).schema()["properties"]["typed"]["anyOf"][0] == {
        "type": "tensor", "format": "numpy-array", "dtype": "float32", "contentMediaType": NPY,
    }  # fmt: skip


def test_exact_arrays() -> None:
    output = Output(Annotated[np.ndarray, DType("float32")])
    assert output.may_be_npy
    body, media_type = output.encode_for([0.1], NPY.encode())
    assert isinstance(body, bytes)
    assert (media_type, read_npy(body).tolist()) == (NPY, [float(np.float32(0.1))])
    assert output.encode_for([0.5], b"application/json, application/x-npy") == (b"[0.5]", JSON)
    text = Output(np.ndarray)
    assert text.encode_for(np.array(["a"]), NPY.encode()) == (b'["a"]', JSON)
    always = Output(Annotated[np.ndarray, ContentType(NPY)])
    assert (always.may_be_npy, always.encode([1])[1]) == (False, NPY)
    assert always.schema()["media_type"] == NPY
    assert not Output(dict[str, np.ndarray]).may_be_npy
    with pytest.raises(OutputError):
        output.encode_for("text", NPY.encode())


@pytest.mark.parametrize(
    ("accept", "prefers"),
    [
        (b"application/x-npy", True),
        (b"Application/X-NPY, */*", True),
        (b"application/x-npy;q=0.9, application/json;q=0.8", True),
        (b"application/json, application/x-npy", False),
        (b"application/json;q=0.5, application/x-npy", True),
        (b"application/x-npy;q=0", False),
        (b"application/x-npy;q=x", False),
        (b"*/*", False),
        (b"", False),
        (b"text/x-npy-not", False),
        (b",;=,application/x-npy", False),
    ],
)
def test_what_a_caller_prefers(accept: bytes, prefers: bool) -> None:
    assert prefers_npy(accept) is prefers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pd.Timestamp("2020-01-01"), b'"2020-01-01T00:00:00"'),
        (pd.NaT, b"null"),
        (pd.NA, b"null"),
        (Decimal("1.10"), b'"1.10"'),
        (timedelta(seconds=1), b'"PT1S"'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (np.str_("x"), b'"x"'),
        (np.bool_(True), b"true"),
        (np.datetime64("2020-01-01"), b'"2020-01-01T00:00:00"'),
        (range(2), b"[0,1]"),
        ({1}, b"[1]"),
        (Path("/x"), b'"/x"'),
        (np.array(["a", None], object), b'["a",null]'),
        ({np.int64(1): date(2020, 1, 1)}, b'{"1":"2020-01-01"}'),
    ],
)
def test_values_of_any_type(value: object, expected: bytes) -> None:
    assert Output(dict[str, Any]).encode({"v": value})[0] == b'{"v":' + expected + b"}"
    assert Output(Any).encode([value])[0] == b"[" + expected + b"]"
