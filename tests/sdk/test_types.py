"""What annotations mean."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NewType, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.responses import JSONResponse

from bentoml.sdk.types import adapt, content_type, file_shape, is_response, not_none, special, stream_chunk
from bentoml.validators import ContentType, DType, FileSchema, PILImageEncoder, Shape, TensorSchema


class Self(BaseModel):
    children: list[Self] = []
    file: Path | None = None


class WithFile(BaseModel):
    file: Path


class Plain(BaseModel):
    a: int = Field(ge=1)


@dataclass
class Data:
    file: Path


class Named(NamedTuple):
    array: npt.NDArray[Any]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(np.ndarray, TensorSchema(), id="array"),
        pytest.param(npt.NDArray[np.float32], TensorSchema(dtype="float32"), id="typed array"),
        pytest.param(npt.NDArray[np.floating[Any]], TensorSchema(), id="abstract dtype"),
        pytest.param(Annotated[npt.NDArray[Any], Shape((1, 2)), DType("int8")], TensorSchema(dtype="int8", shape=(1, 2)), id="markers"),
        pytest.param(Annotated[npt.NDArray[Any], TensorSchema("numpy-array", "int8")], TensorSchema(dtype="int8"), id="schema"),
        pytest.param(Path, FileSchema(), id="file"),
        pytest.param(Annotated[Path, ContentType("audio/*")], FileSchema(content_type="audio/*"), id="typed file"),
        pytest.param(Annotated[Path, FileSchema(content_type="a/b")], FileSchema(content_type="a/b"), id="file schema"),
        pytest.param(Image.Image, PILImageEncoder(), id="image"),
        pytest.param(str, None, id="text"),
    ],
)  # fmt: skip
def test_special(annotation: Any, expected: object) -> None:
    assert special(adapt(annotation)) == expected


@pytest.mark.parametrize(
    ("annotation", "shape"),
    [
        (Path, "one"),
        (Path | None, "one"),
        (list[Path], "many"),
        (list[Image.Image] | None, "many"),
        (Annotated[list[Path], Field(min_length=1)], "many"),
        (str, None),
        (dict[str, Path], None),
    ],
)
def test_file_shape(annotation: Any, shape: str | None) -> None:
    assert file_shape(adapt(annotation)) == shape


def test_what_is_left_alone() -> None:
    for annotation in (int, list[int], dict[str, Any], Plain, Annotated[int, Field(ge=1)], int | None):
        assert adapt(annotation, models=True) is annotation or adapt(annotation, models=True) == annotation


def test_models_become_subclasses() -> None:
    class Nested(BaseModel):
        inner: WithFile

    for model in (WithFile, Nested):
        adapted = adapt(model, models=True)
        assert adapted is not model
        assert issubclass(adapted, model)
        assert adapted.__name__ == model.__name__
        assert adapt(model) is model


@pytest.mark.parametrize("annotation", [Data, list[Named]], ids=["dataclass", "named tuple"])
def test_files_in_what_is_no_model(annotation: Any) -> None:
    with pytest.raises(
        TypeError, match=r"make it a parameter of the API, or `(Data|Named)` a pydantic model"
    ):
        adapt(annotation, models=True)


def test_streams() -> None:
    assert stream_chunk(AsyncGenerator[str, None]) is str
    assert stream_chunk(Annotated[Generator[int, None, None], ContentType("a/b")]) is int
    assert stream_chunk(Generator) is Any
    assert stream_chunk(list[str]) is None
    assert content_type(Annotated[str, ContentType("a/b")]) == "a/b"


def test_small_questions() -> None:
    assert is_response(JSONResponse)
    assert not is_response(str)
    assert not_none(int | None) is int
    assert not_none(int | str) == int | str


def test_what_a_name_stands_for() -> None:
    Upload = NewType("Upload", Path)
    assert special(adapt(Upload)) == FileSchema()


def test_a_model_that_contains_itself_holds_no_files() -> None:
    with pytest.raises(TypeError, match="`Self` contains itself"):
        adapt(Self, models=True)


def test_constraints_alone_change_nothing() -> None:
    @dataclass
    class Checked:
        a: Annotated[int, Field(ge=1)]

    Checked.__annotations__["a"] = Annotated[int, Field(ge=1)]
    assert adapt(Checked, models=True) is Checked


class Size(TypedDict):
    width: int
    height: NotRequired[int]


class Box(Size, total=False):
    inner: list[Size]


def test_typed_dictionaries_of_the_standard_library() -> None:
    adapter = TypeAdapter(adapt(list[Box] | None))
    assert adapter.validate_python([{"width": "1", "inner": [{"width": 2, "height": 3}]}]) == [
        {"width": 1, "inner": [{"width": 2, "height": 3}]}
    ]
    with pytest.raises(ValidationError, match="width"):
        adapter.validate_python([{"height": 1}])
