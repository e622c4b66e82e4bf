"""What annotations mean."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pytest
import typing_extensions
from PIL import Image
from pydantic import Field
from starlette.responses import JSONResponse

from bentoml.sdk.values.adapter import adapt
from bentoml.sdk.values.types import content_type, file_shape, is_response, not_none, special, stream_chunk
from bentoml.validators import ContentType, DType, FileSchema, PILImageEncoder, Shape, TensorSchema


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(np.ndarray, TensorSchema(), id="array"),
        pytest.param(npt.NDArray[np.float32], TensorSchema(dtype="float32"), id="typed array"),
        pytest.param(npt.NDArray[np.floating[Any]], TensorSchema(), id="abstract dtype"),
        pytest.param(npt.NDArray[np.object_], TensorSchema(), id="any dtype"),
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


def test_a_schema_beside_an_alias_goes_over_that_of_the_type() -> None:
    alias = typing_extensions.TypeAliasType(
        "alias", np.ndarray
    )  # as `numpy.typing.NDArray` is one since numpy 2.5
    assert special(adapt(Annotated[alias, TensorSchema("numpy-array", "int8")])) == TensorSchema(dtype="int8")
    assert special(adapt(Annotated[alias, DType("int8")])) == TensorSchema(dtype="int8")
