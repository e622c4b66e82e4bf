"""Arrays, tables, files and images are found wherever they stand in an annotation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
    get_args,
)

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydantic
import pytest
import typing_extensions
from PIL import Image
from pydantic import BaseModel, Field, RootModel, TypeAdapter, ValidationError

from bentoml.sdk.values.adapter import adapt
from bentoml.sdk.values.files import Part
from bentoml.sdk.values.output import Output
from bentoml.sdk.values.types import special
from bentoml.validators import ContentType, DType, FileSchema, Shape, TensorSchema

T = TypeVar("T")
Arrays = dict[str, npt.NDArray[np.float32]]


class Self(BaseModel):
    children: list[Self] = []
    file: Path | None = None


class Tree(BaseModel):
    children: list[Tree] = []


class WithArray(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    a: np.ndarray
    n: int = Field(default=1, ge=1)

    @pydantic.model_validator(mode="after")
    def check(self) -> WithArray:
        if self.n == 7:
            raise ValueError("seven")
        return self


class Outer(BaseModel):
    inner: list[WithArray]


@dataclass
class Data:
    a: np.ndarray
    when: Annotated[int, Field(ge=1)] = 3
    made: list[int] = field(default_factory=list)
    total: float = field(init=False)

    def __post_init__(self) -> None:
        if len(self.a) == 0:
            raise ValueError("nothing")
        self.total = float(self.a.sum())


@pydantic.dataclasses.dataclass(config={"arbitrary_types_allowed": True})
class Checked:
    file: Path
    n: int = 1


@dataclass
class Box(Generic[T]):
    content: T


class Named(NamedTuple):
    a: np.ndarray
    note: str = ""


class Row(TypedDict):
    a: np.ndarray
    table: NotRequired[pd.DataFrame]


class Files(RootModel[list[Path]]):
    pass


class Plain(BaseModel):
    a: int = Field(ge=1)


@dataclass
class Constrained:
    a: Annotated[int, Field(ge=1)]


def read(annotation: Any, value: object) -> Any:
    return TypeAdapter(adapt(annotation)).validate_python(value)


@pytest.mark.parametrize(
    "annotation",
    [int, list[int], dict[str, Any], Plain, Constrained, Tree, Annotated[int, Field(ge=1)], int | None],
)
def test_what_is_left_alone(annotation: Any) -> None:
    assert adapt(annotation) == annotation
    assert adapt(annotation, "output") == annotation


def test_a_model_stays_the_class_that_it_is() -> None:
    got = read(Outer, {"inner": [{"a": [1, 2]}]})
    assert type(got) is Outer
    assert type(got.inner[0]) is WithArray
    assert got.inner[0].a.tolist() == [1, 2]
    assert got.model_fields_set == {"inner"}
    for wrong in ({"a": "x"}, {"a": [1], "n": 0}, {"a": [1], "n": 7}, {"a": [[1], [1, 2]]}):
        with pytest.raises(ValidationError):
            read(WithArray, wrong)


def test_dataclasses() -> None:
    got = read(Data, {"a": [1, 2.5], "when": "4"})
    assert type(got) is Data
    assert (got.a.tolist(), got.when, got.made, got.total) == ([1, 2.5], 4, [], 3.5)
    with pytest.raises(ValidationError, match="nothing"):
        read(Data, {"a": []})
    for wrong in ({}, {"a": [1], "when": 0}, [1], "x"):
        with pytest.raises(ValidationError):
            read(Data, wrong)
    box = read(Box[np.ndarray], {"content": [1]})
    assert type(box) is Box
    assert isinstance(box.content, np.ndarray)


def test_a_file_in_a_structure_is_never_a_path_of_the_caller(tmp_path: Path) -> None:
    class Model(BaseModel):
        file: Path

    @dataclass
    class Plain:
        file: Path

    class Dictionary(TypedDict):
        file: Path

    Model.model_rebuild(_types_namespace={"Path": Path})
    Plain.__annotations__["file"] = Path
    Dictionary.__annotations__["file"] = Path
    generic: Any = Box
    inner = {"file": "/etc/passwd"}
    for structure in (Model, Plain, Checked, Dictionary, RootModel[dict[str, Path]]):
        for annotation, value in (
            (structure, inner),
            (list.__class_getitem__(structure), [inner]),
            (Optional.__getitem__(structure), inner),
            (generic[structure], {"content": inner}),
        ):
            with pytest.raises(ValidationError, match="Invalid file type"):
                read(annotation, value)
    part = Part("file", "a.txt", None, b"content")
    got = TypeAdapter(adapt(Checked)).validate_python({"file": part}, context=lambda: tmp_path)
    assert type(got) is Checked
    assert got.file.read_bytes() == b"content"


def test_named_tuples() -> None:
    for value in ({"a": [1], "note": "x"}, [[1], "x"]):
        got = read(Named, value)
        assert type(got) is Named
        assert (got.a.tolist(), got.note) == ([1], "x")
    for wrong in ([], [[1], "x", 3], {"a": "x"}, 3):
        with pytest.raises(ValidationError):
            read(Named, wrong)


def test_typed_dictionaries() -> None:
    got = read(list[Row] | None, [{"a": [1], "table": [{"x": 1}]}])
    assert got[0]["a"].tolist() == [1]
    assert got[0]["table"]["x"].tolist() == [1]


def test_root_models() -> None:
    file = Part("file", "a.txt", None, None, Path("there"))
    got = read(Files, [file])
    assert type(got) is Files
    assert got.root == [Path("there")]


Upload = NewType("Upload", Path)
Alias = typing_extensions.TypeAliasType("Alias", Annotated[npt.NDArray[Any], DType("int8")])
Many = typing_extensions.TypeAliasType("Many", dict[str, list[T]], type_params=(T,))
Json = typing_extensions.TypeAliasType("Json", "dict[str, Json] | list[Json] | int")


def test_what_a_name_stands_for() -> None:
    assert special(adapt(Upload)) == FileSchema()
    assert special(adapt(Alias)) == TensorSchema(dtype="int8")
    assert special(adapt(Annotated[Alias, Field(description="x")])) == TensorSchema(dtype="int8")
    got = read(Many[np.ndarray], {"a": [[1, 2]]})
    assert got["a"][0].tolist() == [1, 2]
    assert read(Json, {"a": [1, {"b": 2}]}) == {"a": [1, {"b": 2}]}
    with pytest.raises(ValidationError):
        read(Json, {"a": "x"})


@pytest.mark.parametrize("direction", ["input", "output"])
def test_a_model_that_contains_itself_holds_no_files(direction: Any) -> None:
    with pytest.raises(TypeError, match="`Self` contains itself"):
        adapt(Self, direction)


class Item(TypedDict):
    width: int
    height: NotRequired[int]


class Crate(Item, total=False):
    inner: list[Item]


def test_typed_dictionaries_of_the_standard_library() -> None:
    adapter = TypeAdapter(adapt(list[Crate] | None))
    assert adapter.validate_python([{"width": "1", "inner": [{"width": 2, "height": 3}]}]) == [
        {"width": 1, "inner": [{"width": 2, "height": 3}]}
    ]
    with pytest.raises(ValidationError, match="width"):
        adapter.validate_python([{"height": 1}])


def test_a_media_type_of_all_files() -> None:
    png = FileSchema(content_type="image/png")
    marked = ContentType("image/png")
    for annotation in (Optional[Path], list[Path], list[Path] | None, tuple[Path, ...], dict[str, Path]):  # noqa: UP045  # as users write it
        text = repr(adapt(Annotated[annotation, marked]))
        assert repr(png) in text
        assert "content_type=None" not in text
    own = list[Annotated[Path, ContentType("text/a")]]
    assert "text/a" in repr(adapt(Annotated[own, marked]))
    assert get_args(adapt(Annotated[str | None, marked]))[0] == str | None


def test_numbers_of_numpy() -> None:
    fitting: list[tuple[Any, object]] = [(np.float32, 0.5), (np.int8, 3), (np.bool_, True), (np.int64, "4")]
    for number, value in fitting:
        got = read(number, value)
        assert type(got) is number
        assert got == number(value)
    for annotation, wrong in (
        (np.int8, 300),
        (np.uint8, -1),
        (np.float16, 1e9),
        (np.int64, 0.5),
        (np.float32, "x"),
    ):
        with pytest.raises(ValidationError):
            read(annotation, wrong)
    assert Output(np.float32).encode(np.float32(0.5)) == (b"0.5", "application/json")
    assert Output(dict[str, np.int64]).encode({"a": np.int64(1)}) == (b'{"a":1}', "application/json")


def test_images_in_a_structure() -> None:
    class Shown(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        image: Image.Image | None = None

    assert read(Shown, {}).image is None
    with pytest.raises(ValidationError, match="Invalid file type"):
        read(Shown, {"image": "/etc/passwd"})


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[np.ndarray | None, DType("float32"), Shape((2,))],
        Annotated[np.ndarray[Any, Any] | str, DType("float32"), Shape((2,))],
    ],
)
def test_markers_beside_a_union_are_those_of_the_array_in_it(annotation: Any) -> None:
    value = TypeAdapter(adapt(annotation)).validate_python([1, 2])
    assert (value.dtype, value.shape) == (np.dtype("float32"), (2,))
    with pytest.raises(ValidationError):
        TypeAdapter(adapt(annotation)).validate_python([1, 2, 3])
