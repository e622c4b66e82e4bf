"""Each type that an API may take and return, there and back through the client and the real application."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import io
import sys
import tempfile
import uuid
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from pydantic import BaseModel, ConfigDict

import bentoml
from bentoml.exceptions import InvalidArgument

Image = PIL.Image.Image


class Item(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    name: str
    image: Image


class Files(BaseModel):
    text: str
    one: Path
    many: list[Path]


class Page(BaseModel):
    file: Path
    title: str = "none"
    notes: Path | None = None


class Album(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    by_name: dict[str, Image]


class Pair(NamedTuple):
    file: Path
    data: bytes
    n: int = 3


class Blob(BaseModel):
    data: bytes


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Event:
    when: dt.datetime
    color: Color


@bentoml.service
class Types:
    @bentoml.api
    def item(self, item: Item) -> str:
        return f"{item.name} {item.image.size}"

    @bentoml.api
    def items(self, items: list[Item]) -> list[Item]:
        return items

    @bentoml.api
    def write(self, ctx: bentoml.Context) -> Files:
        path = Path(ctx.temp_dir) / "a.txt"
        path.write_text("a")
        return Files(text='quoted "text"', one=path, many=[path, path])

    @bentoml.api
    def write_list(self, ctx: bentoml.Context) -> list[Path]:
        path = Path(ctx.temp_dir) / "a.txt"
        path.write_text("a")
        return [path]

    @bentoml.api
    def page(self, page: Page, /) -> list[str]:
        return [page.file.read_text(), page.title, "none" if page.notes is None else page.notes.read_text()]

    @bentoml.api
    def maybe_root(self, file: Path | None = None, /) -> str:
        return "none" if file is None else file.read_text()

    @bentoml.api
    def maybe_image(self, image: Image | None = None) -> Image | None:
        return image

    @bentoml.api
    def named(self, files: dict[str, Path], pair: tuple[Path, int]) -> str:
        return ",".join(
            [*(f"{name}={file.read_text()}" for name, file in files.items()), pair[0].read_text()]
        )

    @bentoml.api
    def by_name(self, files: dict[str, Image]) -> dict[str, Image]:
        return files

    @bentoml.api
    def album(self, files: dict[str, Image]) -> Album:
        return Album(by_name=files)

    @bentoml.api
    def maybe_list(self, files: list[Path] | None = None) -> int:
        return -1 if files is None else len(files)

    @bentoml.api
    def raw(self, data: bytes) -> bytes:
        return data

    @bentoml.api
    def raw_root(self, data: bytes, /) -> bytes:
        return data

    @bentoml.api
    def deep_bytes(self, blobs: list[Blob | int], named: dict[str, bytes]) -> list[int]:
        sizes = [len(blob.data) if isinstance(blob, Blob) else blob for blob in blobs]
        return [*sizes, *map(len, named.values())]

    @bentoml.api
    def pairs(self, pair: Pair, blobs: set[bytes]) -> list[Any]:
        return [pair.file.read_text(), len(pair.data), pair.n, sorted(map(len, blobs))]

    @bentoml.api
    def table(self, table: pd.DataFrame) -> pd.DataFrame:
        return table

    @bentoml.api
    def table_and_file(self, table: pd.DataFrame, file: Path, events: list[Event]) -> list[Any]:
        return [table.to_dict(orient="list"), file.read_text(), [event.when for event in events]]

    @bentoml.api
    def array(self, array: np.ndarray) -> np.ndarray:
        return array

    @bentoml.api
    def scaled(self, array: np.ndarray, scale: float = 1.0) -> np.ndarray:
        return array * scale

    @bentoml.api
    def array_root(self, array: np.ndarray, /) -> np.ndarray:
        return array

    @bentoml.api
    def mixed(self, event: Event, tags: set[int], day: dt.date, pause: dt.timedelta) -> dict[str, Any]:
        return {"event": event, "tags": sorted(tags), "day": day, "seconds": pause.total_seconds()}

    @bentoml.api
    def either(self, value: float | str) -> float | str:
        return value

    @bentoml.api
    def maybe(self, value: str | None = None) -> str | None:
        return value

    @bentoml.api
    def anything(self, value: Any) -> Any:
        return value

    @bentoml.api
    def read(self, file: Path, text: str = "") -> str:
        return file.read_text() + text

    @bentoml.api
    def text(self, text: str) -> str:
        return text

    @bentoml.api
    def nothing(self) -> None: ...

    @bentoml.api
    async def arrays(self) -> AsyncGenerator[np.ndarray, None]:
        yield np.arange(3)

    @bentoml.api
    async def fails_late(self) -> AsyncGenerator[str, None]:
        yield "one"
        raise InvalidArgument("too late")

    @bentoml.task
    def double(self, number: int) -> int:
        if number < 0:
            raise InvalidArgument("negative")
        return 2 * number

    @bentoml.api
    def maybe_bytes(self, data: bytes | None = None) -> bytes | None:
        return data

    @bentoml.api
    def maybe_array(self, array: np.ndarray | None = None) -> np.ndarray | None:
        return array

    @bentoml.api
    def lengths(self, data: bytes, file: Path, more: bytes | None = None) -> list[int]:
        return [len(data), file.stat().st_size, -1 if more is None else len(more)]

    @bentoml.api
    def file_or_text(self, value: Path | str) -> str:
        return "a file" if isinstance(value, Path) else value

    @bentoml.task
    def halve(self, values: np.ndarray) -> np.ndarray:
        return values / 2


@pytest.fixture(scope="module")
def client() -> Iterator[bentoml.SyncHTTPClient]:
    with bentoml.testing.client(Types) as client:
        yield client


def picture() -> Image:
    return PIL.Image.new("RGB", (3, 2), "red")


def test_files_inside_of_models(client: bentoml.SyncHTTPClient) -> None:
    assert client.item(item=Item(name="a", image=picture())) == "a (3, 2)"
    assert client.item(item={"name": "b", "image": picture()}) == "b (3, 2)"
    first, second = client.items(items=[{"name": "a", "image": picture()}, Item(name="b", image=picture())])
    assert (first["name"], second["name"], second["image"].size) == ("a", "b", (3, 2))
    assert Path(first["image"]).is_file()
    assert client.items([]) == []


def test_a_model_with_files_as_the_body_itself(client: bentoml.SyncHTTPClient, tmp_path: Path) -> None:
    assert client.page({"file": b"a"}) == ["a", "none", "none"]
    (tmp_path / "a").write_text("a")
    assert client.page(Page(file=tmp_path / "a", title="b", notes=tmp_path / "a")) == ["a", "b", "a"]


def test_files_in_other_places(client: bentoml.SyncHTTPClient) -> None:
    assert client.named(files={"a": b"1", "b": b"2"}, pair=(b"3", 4)) == "a=1,b=2,3"
    assert client.maybe_root() == client.maybe_root(None) == "none"
    assert client.maybe_root(b"x") == "x"
    assert client.maybe_image() is client.maybe_image(None) is None
    assert client.maybe_image(picture()).size == (3, 2)
    assert [client.maybe_list(files) for files in (None, [], [b"a"], [b"a", b"b"])] == [-1, 0, 1, 2]


def test_files_whose_keys_look_like_places(client: bentoml.SyncHTTPClient) -> None:
    names = ["a", "a.png", "a.0", "b/c.d.png", "...", "", 'quoted"', "é\n"]
    files = {name: PIL.Image.new("RGB", (width, 1)) for width, name in enumerate(names, 1)}
    for answer in (client.by_name(files), client.album(files)["by_name"]):
        assert {name: image.width for name, image in answer.items()} == {n: i for i, n in enumerate(names, 1)}


def test_several_files(client: bentoml.SyncHTTPClient) -> None:
    answer = client.write()
    assert answer["text"] == 'quoted "text"'
    assert [path.read_text() for path in (answer["one"], *answer["many"])] == ["a"] * 3
    (path,) = client.write_list()
    assert path.name.endswith("a.txt")


@pytest.mark.parametrize(
    "data", [b"", b"abc", b'"quoted"', b"3", b"\xff\xfe\x00", bytes(range(256)), bytearray(b"x")]
)
def test_bytes(client: bentoml.SyncHTTPClient, data: bytes) -> None:
    assert client.raw(data) == client.raw_root(data) == data


def test_bytes_inside_of_others(client: bentoml.SyncHTTPClient) -> None:
    raw = bytes(range(256))
    assert client.deep_bytes([Blob(data=b"text")], {"a": b'"3"'}) == [4, 3]
    assert client.deep_bytes([], {"a.b": raw, "c": b"null", "d": b"\xff"}) == [256, 4, 1]


@pytest.mark.parametrize(
    "pair",
    [Pair(cast(Path, b"x"), b"\xff"), (b"x", b"\xff"), {"file": b"x", "data": b"\xff"}],
    ids=["own", "plain", "dictionary"],
)
def test_files_and_bytes_in_tuples_and_sets(client: bentoml.SyncHTTPClient, pair: Any) -> None:
    assert client.pairs(pair, {b"\xff\xff", b"abc"}) == ["x", 1, 3, [2, 3]]


def test_tables(client: bentoml.SyncHTTPClient, tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    pd.testing.assert_frame_equal(client.table(table), table)
    pd.testing.assert_frame_equal(client.table([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]), table)
    event = Event(dt.datetime(2026, 1, 2, 3), Color.RED)
    answer = client.table_and_file(table=table, file=b"content", events=[event])
    assert answer == [{"a": [1, 2], "b": ["x", "y"]}, "content", ["2026-01-02T03:00:00"]]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(4, dtype=np.int8),
        np.zeros((0, 3), np.float32),
        np.array([1.5, np.nan, np.inf]),
        np.arange(6, dtype=np.float16).reshape(2, 3)[:, ::-1],
        np.array(3.0),
        np.array([True, False]),
        np.random.default_rng(1).random((100, 100), np.float32),
    ],
    ids=["int8", "empty", "nan", "float16", "scalar", "bool", "large"],
)
def test_arrays_are_exact(client: bentoml.SyncHTTPClient, array: Any) -> None:
    for answer in (client.array(array), client.array_root(array), client.scaled(array.astype(np.float64))):
        assert answer.shape == array.shape
        assert np.array_equal(answer, array, equal_nan=True)
    assert client.array(array).dtype == array.dtype


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (np.float32(1.5), 1.5),
        (pd.Series([1, 2]), [1, 2]),
        ((1, 2), [1, 2]),
        ([np.arange(2), [2, 3]], [[0, 1], [2, 3]]),
        (np.array(["a", "b"]), ["a", "b"]),
    ],
)
def test_what_else_is_an_array(client: bentoml.SyncHTTPClient, given: Any, expected: Any) -> None:
    assert client.array(given).tolist() == expected


def test_tensors(client: bentoml.SyncHTTPClient, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tensor:
        """What the client uses of a tensor of torch."""

        def __init__(self, array: Any) -> None:
            self._array = array

        def detach(self) -> Tensor:
            return Tensor(self._array)

        def cpu(self) -> Tensor:
            return self

        def numpy(self) -> Any:
            if self._array.dtype == np.float16:
                raise TypeError("as bfloat16")
            return self._array

        def tolist(self) -> Any:
            return self._array.tolist()

    torch: Any = ModuleType("torch")
    torch.Tensor = Tensor
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert client.array(Tensor(np.arange(3, dtype=np.int16))).dtype == np.int16
    assert client.array(Tensor(np.arange(3, dtype=np.float16))).tolist() == [0, 1, 2]
    assert client.anything({"a": Tensor(np.arange(2))}) == {"a": [0, 1]}


def test_values(client: bentoml.SyncHTTPClient) -> None:
    answer = client.mixed(
        event=Event(dt.datetime(2026, 1, 2), Color.RED), tags={2, 1}, day=dt.date(2026, 1, 2), pause=dt.timedelta(seconds=5)
    )  # fmt: skip
    assert answer == {
        "event": {"when": "2026-01-02T00:00:00", "color": "red"},
        "tags": [1, 2],
        "day": "2026-01-02",
        "seconds": 5.0,
    }
    given = [
        np.int64(1),
        np.bool_(True),
        {"a": np.arange(2)},
        Path("/x"),
        decimal.Decimal("1.5"),
        uuid.UUID(int=0),
    ]
    assert client.anything(given) == [1, True, {"a": [0, 1]}, "/x", "1.5", str(uuid.UUID(int=0))]
    assert client.anything({1: frozenset({2})}) == {"1": [2]}
    with pytest.raises(InvalidArgument, match="argument `value` cannot be sent as JSON"):
        client.anything(object())


@pytest.mark.parametrize("value", [1.5, "a", "1"])
def test_one_of_several_types(client: bentoml.SyncHTTPClient, value: Any) -> None:
    answer = client.either(value)
    assert answer == value and type(answer) is type(value)


@pytest.mark.parametrize(
    "value", [None, "", "a", "null", "3", '"quoted"', "http://example.org/a.png", "/etc/hostname"]
)
def test_text_is_text(client: bentoml.SyncHTTPClient, value: str | None) -> None:
    assert client.maybe(value) == client.anything(value) == value
    if value is not None:
        assert client.text(value) == value
        assert client.read(b"", text=value) == value
    assert client.nothing() is None


def test_files_of_all_kinds(client: bentoml.SyncHTTPClient, tmp_path: Path) -> None:
    (tmp_path / "é\u2028.txt").write_bytes(b"path")
    with tempfile.NamedTemporaryFile() as named, tempfile.SpooledTemporaryFile() as spooled:
        named.write(b"named")
        named.flush()
        spooled.write(b"spooled")
        assert client.read(named) == "named"
        assert client.read(spooled) == "spooled"
    assert client.read(tmp_path / "é\u2028.txt") == client.read(str(tmp_path / "é\u2028.txt")) == "path"
    assert client.read(memoryview(b"view")) == "view"
    assert client.read(bytearray(b"array")) == "array"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("/nowhere/a.txt", InvalidArgument, "there is no file `/nowhere/a.txt`"),
        ("a\0b", InvalidArgument, "there is no file"),
        (Path("/"), InvalidArgument, "there is no file `/`"),
        (5, TypeError, "not `int`"),
        (io.StringIO("text"), TypeError, "open in text mode"),
    ],
)
def test_what_is_no_file(
    client: bentoml.SyncHTTPClient, given: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        client.read(given)


def test_an_image_that_was_changed_is_sent_as_it_is_now(client: bentoml.SyncHTTPClient) -> None:
    (answer,) = client.items(items=[{"name": "a", "image": picture()}])
    image = answer["image"]
    image.thumbnail((1, 1))
    assert client.item(item={"name": "b", "image": image}) == "b (1, 1)"


def test_streams(client: bentoml.SyncHTTPClient) -> None:
    (array,) = client.arrays()
    assert array.tolist() == [0, 1, 2]
    steps = client.fails_late()
    assert next(steps) == "one"
    with pytest.raises(InvalidArgument, match="too late"):
        list(steps)


def test_tasks(client: bentoml.SyncHTTPClient) -> None:
    task = client.double.submit(number=2)
    assert task.wait(timeout=60) == task.get() == client.double.get(task.id) == 4
    assert task.get_status().value == "completed"
    assert task.retry().wait(timeout=60) == 4
    with pytest.raises(InvalidArgument, match="negative"):
        client.double.submit(-1).wait(timeout=60)
    assert client.double(3) == 6


def test_the_array_that_a_task_ends_with_keeps_its_type(client: bentoml.SyncHTTPClient) -> None:
    halves = client.halve.submit(np.array([1, 2], dtype="float32")).wait(timeout=60)
    assert halves.tolist() == [0.5, 1.0] and halves.dtype == np.float32


@pytest.mark.parametrize("data", [None, b"", b"text", b"null", b"\xff\xfe"], ids=repr)
def test_optional_bytes(client: bentoml.SyncHTTPClient, data: bytes | None) -> None:
    assert client.maybe_bytes(data) == data


def test_optional_arrays(client: bentoml.SyncHTTPClient) -> None:
    array = client.maybe_array(np.array([1, 2], dtype="int16"))
    assert array.tolist() == [1, 2] and array.dtype == np.int16
    assert client.maybe_array() is client.maybe_array(None) is None


def test_bytes_beside_a_file_are_as_long_as_they_were(client: bentoml.SyncHTTPClient) -> None:
    assert client.lengths(b"four", b"\xff", None) == [4, 1, -1]
    assert client.lengths(b"\xff", io.BytesIO(b"three"), b"null") == [1, 5, 4]


def test_a_file_or_a_text(client: bentoml.SyncHTTPClient, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert client.file_or_text(tmp_path / "a") == client.file_or_text(b"x") == "a file"
    assert client.file_or_text("text") == "text"
