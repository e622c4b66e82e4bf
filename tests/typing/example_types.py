"""A service with each type of input and result, which `mypy --strict` accepts as it is; `tests/sdk/test_typing.py` runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    TypedDict,
    TypeVar,
    assert_type,
)
from uuid import UUID

import annotated_types
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from pydantic import BaseModel

import bentoml
from bentoml.validators import ContentType, DataframeSchema, DType, Shape

T = TypeVar("T")
UserId = NewType("UserId", int)


class Colour(Enum):
    RED = "red"


class Item(BaseModel):
    name: str
    tags: list[str] = []


class Page(BaseModel, Generic[T]):
    items: list[T]


@dataclass
class Point:
    x: int
    y: int = 0


class Row(TypedDict):
    a: int


class Pair(NamedTuple):
    first: int
    second: str = ""


class Measured(bentoml.IODescriptor):
    array: npt.NDArray[np.float32]
    picture: Optional[Image.Image] = None  # noqa: UP045  # as users of 1.x write it


class Report(BaseModel):
    file: Path
    score: float


@bentoml.service
class Everything:
    @bentoml.api
    def scalars(self, text: str, n: int = 1, f: float = 0.5, flag: bool = False, data: bytes = b"") -> str:
        return f"{text}{n}{f}{flag}{data!r}"

    @bentoml.api
    def containers(
        self, a: list[int], b: dict[str, float], c: tuple[int, str], d: set[int], e: frozenset[str]
    ) -> dict[str, Any]:
        return {"a": a, "b": b, "c": c, "d": d, "e": e}

    @bentoml.api
    def choices(
        self,
        kind: Literal["a", "b"],
        colour: Colour,
        either: int | str,
        maybe: str | None = None,
        anything: Any = None,
    ) -> float | str:
        return f"{kind}{colour.value}{either}{maybe}{anything}"

    @bentoml.api
    def moments(
        self, at: datetime, day: date, hour: time, span: timedelta, key: UUID, price: Decimal
    ) -> list[str]:
        return [str(value) for value in (at, day, hour, span, key, price)]

    @bentoml.api
    def structures(
        self, item: Item, page: Page[Item], point: Point, row: Row, pair: Pair, user: UserId
    ) -> Page[Point]:
        return Page[Point](items=[point])

    @bentoml.api
    def bounded(
        self,
        n: Annotated[int, annotated_types.Ge(1)],
        text: Annotated[str, bentoml.Field(max_length=3)] = "x",
    ) -> None:
        return None

    @bentoml.api
    def root(self, item: Item, /) -> Item:
        return item

    @bentoml.api
    def arrays(
        self, a: npt.NDArray[np.float32], b: Annotated[npt.NDArray[Any], DType("int64"), Shape((-1, 2))]
    ) -> npt.NDArray[np.float32]:
        return a

    @bentoml.api
    def table(
        self, rows: Annotated[pd.DataFrame, DataframeSchema(orient="columns", columns=["a"])]
    ) -> pd.DataFrame:
        return rows

    @bentoml.api
    def files(
        self, file: Annotated[Path, ContentType("text/*")], more: list[Path], maybe: Path | None = None
    ) -> Annotated[Path, ContentType("text/plain")]:
        return file

    @bentoml.api
    def pictures(self, picture: Image.Image, more: list[Image.Image]) -> list[Image.Image]:
        return [picture, *more]

    @bentoml.api
    def report(self, measured: Measured, file: Path) -> Report:
        return Report(file=file, score=float(measured.array.sum()))

    @bentoml.api(input_spec=Measured, output_spec=Item)
    def specified(self, **fields: Any) -> dict[str, Any]:
        return {"name": str(fields["array"].shape)}

    @bentoml.api
    def lines(self, n: int) -> Iterator[str]:
        yield from map(str, range(n))

    @bentoml.api
    def steps(self, n: int) -> Annotated[Generator[Item, None, None], ContentType("application/jsonl")]:
        for number in range(n):
            yield Item(name=str(number))

    @bentoml.api
    async def words(self, text: str) -> AsyncGenerator[str, None]:
        for word in text.split():
            yield word


everything = Everything()
assert_type(everything.scalars("x"), str)
assert_type(everything.root(Item(name="x")), Item)
assert_type(everything.lines(1), Iterator[str])


def called_from_elsewhere(url: str) -> Any:
    """Call the service over HTTP; what it answers is known when it runs."""
    with bentoml.SyncHTTPClient(url) as client:
        return [
            client.scalars(text="x", data=b"\x00"),
            client.arrays(a=np.zeros(2, np.float32), b=np.zeros((1, 2), np.int64)),
            client.files(file=Path("a.txt"), more=[b"content", Path("b.txt")]),
            client.pictures(picture=Image.new("RGB", (1, 1)), more=[]),
        ]
