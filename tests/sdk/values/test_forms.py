"""The parts of a form as the fields of an object: texts that may be JSON, files at any depth, arrays."""

from __future__ import annotations

import io
import typing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Optional, TypedDict

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

import bentoml
from bentoml.exceptions import BadInput, BentoMLException
from bentoml.sdk.method import APIMethod
from bentoml.sdk.values.npy import NPY, write_npy
from bentoml.sdk.values.serde import Input, Part


class Shown(bentoml.IODescriptor):
    image: Image.Image
    note: str = "n"


class Spec(bentoml.IODescriptor):
    array: np.ndarray
    file: Optional[Path] = None  # noqa: UP045  # as users of 1.x write it


@dataclass
class Scan:
    file: Path
    note: str = "n"


class Sizes(TypedDict):
    width: int
    names: list[str]


class Plain(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    n: int
    tags: list[str] = []


class Everything:
    def texts(self, tag: str, n: int = 0, price: Decimal = Decimal(0), data: bytes = b"") -> None: ...
    def items(self, items: list[Shown]) -> None: ...
    def named(self, files: dict[str, Path]) -> None: ...
    def any_dictionary(self, files: typing.Dict = {}) -> None: ...  # type: ignore[type-arg]  # noqa: B006, UP006  # as some write it
    def maybe_named(self, files: dict[str, Path] | None = None) -> None: ...
    def model(self, item: Shown, other: str = "") -> None: ...
    def either(self, file: Path | str | int) -> None: ...
    def several(self, files: tuple[Path, ...] | None = None, images: list[Image.Image] = []) -> None: ...  # noqa: B006  # never shared
    def array(self, a: npt.NDArray[np.float32]) -> None: ...
    def mixed(self, a: npt.NDArray[Any], note: str = "") -> None: ...
    def root_model(self, shown: Shown, /) -> None: ...
    def root_dataclass(self, scan: Scan, /) -> None: ...
    def root_dictionary(self, sizes: Sizes, /) -> None: ...
    def root_plain(self, plain: Plain, /) -> None: ...
    def root_file(self, file: Path, /) -> None: ...
    def root_text(self, text: str, /) -> None: ...
    def root_bytes(self, data: bytes, /) -> None: ...
    def root_array(self, a: np.ndarray, /) -> None: ...
    def root_files(self, files: list[Path], /) -> None: ...


def input_of(name: str) -> Input:
    return APIMethod(getattr(Everything, name)).input


def text(name: str, value: str) -> Part:
    return Part(name, None, None, value.encode())


def png(name: str) -> Part:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, "PNG")
    return Part(name, "a.png", "image/png", buffer.getvalue())


def array(name: str, value: Any) -> Part:
    return Part(name, "a.npy", NPY, write_npy(value))


def locations(error: ValidationError) -> list[tuple[int | str, ...]]:
    return [e["loc"] for e in error.errors()]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (text("tag", "3"), "3"),
        (text("tag", "null"), "null"),
        (text("tag", "true"), "true"),
        (text("tag", '{"a": 1}'), '{"a": 1}'),
        (text("tag", '"x"'), "x"),
        (text("tag", ""), ""),
        (text("price", "1.10"), Decimal("1.10")),
        (text("price", "0.1234567890123456789"), Decimal("0.1234567890123456789")),
        (text("data", '"quoted"'), b'"quoted"'),
        (text("data", "12"), b"12"),
    ],
)
def test_a_text_is_what_its_field_wants(part: Part, expected: object) -> None:
    parts = [part] if part.name == "tag" else [text("tag", "x"), part]
    got = input_of("texts").from_parts(parts)[part.name]
    assert (got, type(got)) == (expected, type(expected))


def test_only_what_is_wrong_is_told() -> None:
    with pytest.raises(ValidationError) as caught:
        input_of("texts").from_parts([text("tag", "3"), text("n", "[1]")])
    assert (caught.value.title, locations(caught.value)) == ("Input", [("n",)])
    with pytest.raises(ValidationError) as caught:
        input_of("texts").from_parts([text("n", "1")])
    assert locations(caught.value) == [("tag",)]


def test_files_at_any_depth() -> None:
    got = input_of("items").from_parts(
        [text("items", '[{}, {"note": "z"}]'), png("items.0.image"), png("items.1.image")]
    )["items"]
    assert [(type(i), i.image.size, i.note) for i in got] == [(Shown, (3, 2), "n"), (Shown, (3, 2), "z")]
    got = input_of("model").from_parts([png("item.image"), text("item.note", "x"), text("other", "y")])
    assert (got["item"].note, got["other"]) == ("x", "y")
    with pytest.raises(BadInput, match=r"`items.7.image`: the list has no item `7`"):
        input_of("items").from_parts([text("items", "[{}]"), png("items.7.image")])


@pytest.mark.parametrize(
    "before", [[], [text("files", '{"b.txt": null}')], [text("files", "null")]], ids=["", "object", "null"]
)
@pytest.mark.parametrize("name", ["named", "maybe_named"])
def test_files_by_names_with_dots(tmp_path: Path, name: str, before: list[Part]) -> None:
    parts = [*before, Part("files.a", "a", None, b"1"), Part("files.b.txt", "b", None, b"2")]
    got = input_of(name).from_parts(parts, lambda: tmp_path)["files"]
    assert {name: path.read_bytes() for name, path in got.items()} == {"a": b"1", "b.txt": b"2"}


def test_other_dictionaries_are_objects_in_one_another() -> None:
    assert input_of("any_dictionary").from_parts([text("files.a.b", "1")]) == {"files": {"a": {"b": 1}}}


def test_files_by_names_in_a_form_of_something_else(tmp_path: Path) -> None:
    for wrong in (text("files", "[1]"), text("files", "x")):
        with pytest.raises(BadInput, match=r"`files.a.b`: there is no object|the list has no item"):
            input_of("named").from_parts([wrong, Part("files.a.b", "b", None, b"2")], lambda: tmp_path)


@pytest.mark.parametrize("name", ["items", "named", "model", "root_model", "root_dataclass"])
def test_a_path_is_never_taken_for_a_file(name: str) -> None:
    bodies = {
        "items": b'{"items": [{"image": "/etc/passwd"}]}',
        "named": b'{"files": {"a": "/etc/passwd"}}',
        "model": b'{"item": {"image": "/etc/passwd"}}',
        "root_model": b'{"image": "/etc/passwd"}',
        "root_dataclass": b'{"file": "/etc/passwd"}',
    }
    with pytest.raises(ValidationError, match="Invalid file type"):
        input_of(name).from_json(bodies[name])


class Album(bentoml.IODescriptor):
    images: list[Image.Image]
    title: str = ""
    years: list[int] = bentoml.Field(default_factory=list)


def test_texts_and_lists_of_one_at_any_depth() -> None:
    def method(self: object, album: Album) -> None: ...

    method.__annotations__["album"] = Album
    read = APIMethod(method).input.from_parts
    for parts in (
        [png("album.images"), text("album.title", "3"), text("album.years", "4")],
        [text("album", '{"title": "x", "years": [4]}'), png("album.images"), text("album.title", "3")],
    ):
        album = read(parts)["album"]
        assert ([i.size for i in album.images], album.title, album.years) == ([(3, 2)], "3", [4])
    with pytest.raises(ValidationError) as caught:
        read([text("album", '{"title": 3}'), png("album.images"), text("album.years", "x")])
    assert ("album", "title") in locations(caught.value)


def test_a_file_or_something_else(tmp_path: Path) -> None:
    either = input_of("either")
    assert either.from_parts([Part("file", "a", None, b"x")], lambda: tmp_path)["file"].read_bytes() == b"x"
    assert either.from_parts([text("file", "/etc/passwd")])["file"] == "/etc/passwd"  # a text, not a path
    assert either.from_parts([text("file", "3")])["file"] == 3


def test_lists_of_files(tmp_path: Path) -> None:
    parts = [Part("files", "1", None, b"1"), Part("files", "2", None, b"2"), png("images")]
    got = input_of("several").from_parts(parts, lambda: tmp_path)
    assert [p.read_bytes() for p in got["files"]] == [b"1", b"2"]
    assert isinstance(got["files"], tuple)
    assert [i.size for i in got["images"]] == [(3, 2)]
    assert input_of("several").from_parts([]) == {"files": None, "images": []}
    assert input_of("several").from_parts([text("images", "[]")])["images"] == []
    assert input_of("several").from_parts([text("files", "null")])["files"] is None
    with pytest.raises(ValidationError, match="Invalid file type"):
        input_of("several").from_parts([array("images", [1])._replace(filename=None)])


def test_arrays_as_parts() -> None:
    got = input_of("mixed").from_parts([array("a", np.eye(2)), text("note", "3")])
    assert (got["a"].tolist(), got["note"]) == ([[1, 0], [0, 1]], "3")
    assert input_of("mixed").from_parts([text("a", "[1, 2]")])["a"].tolist() == [1, 2]
    with pytest.raises(BadInput, match="the part `a` is no array"):
        input_of("mixed").from_parts([Part("a", "a", NPY, b"x")])
    for wrong in (Part("a", "a", "text/csv", b"1,2"), text("a", "x")):
        with pytest.raises(ValidationError) as caught:
            input_of("mixed").from_parts([wrong])
        assert locations(caught.value) == [("a",)]
    with pytest.raises(ValidationError) as caught:
        input_of("mixed").from_parts([text("a", "[1]"), array("note", [1])])
    assert locations(caught.value) == [("note",)]


def test_arrays_in_a_structure() -> None:
    def method(self: object, spec: Spec, anything: Any = None) -> None: ...

    method.__annotations__ |= {"spec": Spec, "anything": Any}
    got = APIMethod(method).input.from_parts([array("spec.array", [3.5]), array("anything", [1])])
    assert got["spec"].array.tolist() == [3.5]
    assert got["anything"].tolist() == [1]


def test_an_array_as_the_body() -> None:
    a = input_of("array").from_npy(write_npy(np.arange(3)))["a"]
    assert (a.dtype, a.tolist()) == (np.float32, [0, 1, 2])
    assert input_of("root_array").from_npy(write_npy(np.eye(2)))["a"].shape == (2, 2)
    for name in ("mixed", "texts", "root_model"):
        with pytest.raises(BentoMLException, match="send JSON, or a form") as caught:
            input_of(name).from_npy(write_npy([1]))
        assert caught.value.error_code == 415
    for name in ("array", "root_array"):
        with pytest.raises(BadInput, match="no NPY bytes"):
            input_of(name).from_npy(b"x")


def test_root_structures(tmp_path: Path) -> None:
    shown = input_of("root_model")
    assert (shown.is_raw, shown.files) == (False, frozenset({"image"}))
    got = shown.from_parts([png("image"), text("note", "3")])["shown"]
    assert (type(got), got.image.size, got.note) == (Shown, (3, 2), "3")
    scan = input_of("root_dataclass").from_parts([Part("file", "f", None, b"x")], lambda: tmp_path)["scan"]
    assert (type(scan), scan.file.read_bytes()) == (Scan, b"x")
    sizes = input_of("root_dictionary").from_parts([text("width", "3"), text("names", "1")])["sizes"]
    assert sizes == {"width": 3, "names": ["1"]}
    with pytest.raises(ValidationError) as caught:
        input_of("root_plain").from_parts([text("n", "x")])
    assert (caught.value.title, locations(caught.value)) == ("PlainIODescriptor", [("n",)])
    assert input_of("root_plain").from_parts([text("n", "1"), text("tags", "2")])["plain"] == Plain(
        n=1, tags=["2"]
    )


def test_a_root_input_in_a_form_of_one_part(tmp_path: Path) -> None:
    got = input_of("root_file").from_parts([Part("x", "a.txt", None, b"content")], lambda: tmp_path)["file"]
    assert got.read_bytes() == b"content"
    assert input_of("root_text").from_parts([text("x", "3")]) == {"text": "3"}
    assert input_of("root_bytes").from_parts([Part("x", "a", None, b"\xff")]) == {"data": b"\xff"}
    with pytest.raises(ValidationError, match="Invalid file type"):
        input_of("root_file").from_parts([text("x", "/etc/passwd")])
    for parts in ([], [text("x", "1"), text("y", "2")]):
        with pytest.raises(BadInput, match="without a form"):
            input_of("root_file").from_parts(parts)
    with pytest.raises(TypeError, match="make several files an ordinary parameter"):
        input_of("root_files")


def test_an_input_spec_with_any_type() -> None:
    def method(self: object, /, **fields: Any) -> None: ...

    given = APIMethod(method, input_spec=Spec).input
    assert given.files == frozenset({"file"})
    assert given.from_json(b'{"array": [1, 2]}')["array"].tolist() == [1, 2]
    assert given.from_parts([array("array", [3])])["array"].tolist() == [3]
    with pytest.raises(ValidationError, match="Invalid file type"):
        given.from_json(b'{"array": [1], "file": "/etc/passwd"}')


def test_an_input_spec_that_takes_more_fields() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        n: int = 1

    def method(self: object, /, **fields: Any) -> None: ...

    given = APIMethod(method, input_spec=Open).input
    assert given.from_json(b'{"n": 2, "more": [1]}') == {"n": 2, "more": [1]}


def test_a_byte_order_mark() -> None:
    assert input_of("texts").from_json(b'\xef\xbb\xbf{"tag": "x"}')["tag"] == "x"
    assert input_of("array").from_json(b'\xef\xbb\xbf{"a": [1]}')["a"].tolist() == [1]
    with pytest.raises(ValidationError, match="Invalid JSON"):
        input_of("texts").from_json(b'\xef\xbb\xbf{"tag"')
