"""One API for each kind of value and answer: what the tests of the page and of the OpenAPI document are run against."""

from __future__ import annotations

import asyncio
import enum
import math
import struct
import wave
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image, ImageOps
from pydantic import BaseModel, Field

import bentoml
from bentoml.exceptions import NotFound, ServiceUnavailable
from bentoml.validators import ContentType, DType, Shape


class Style(enum.Enum):
    """How a text is written."""

    PLAIN = "plain"
    LOUD = "loud"
    QUIET = "quiet"


class Author(BaseModel):
    """Who wrote something."""

    name: str = Field(min_length=1, max_length=40, description="as it stands on the cover")
    born: date | None = None


class Book(BaseModel):
    """A book."""

    title: str = Field(min_length=1, max_length=100)
    pages: int = Field(ge=1, le=5000)
    author: Author
    tags: list[Annotated[str, Field(max_length=20)]] = Field(default=[], max_length=5)


Scale = Annotated[float, Field(ge=0.1, le=4, description="1 keeps the size")]
Matrix = Annotated[np.ndarray, Shape((2, 2)), DType("float64")]


@bentoml.service(
    description="A service with **each kind of input and answer**, to try them in the browser.", threads=4
)
class Gallery:
    """Each kind of value and answer."""

    @bentoml.api
    def write(
        self,
        text: Annotated[str, Field(description="what is to be written", max_length=200)],
        times: Annotated[int, Field(ge=1, le=10)] = 1,
        style: Style = Style.PLAIN,
        underline: bool = False,
        signature: str | None = None,
    ) -> str:
        """Write a text once or several times.

        The **style** decides how loud it is; a `signature` is put under it.
        """
        line = {Style.LOUD: str.upper, Style.QUIET: str.lower}.get(style, str)(text)
        lines = [line] * times + (["-" * len(line)] if underline else [])
        return "\n".join(lines + ([signature] if signature else []))

    @bentoml.api
    def shelve(self, book: Book, at: datetime, copies: Literal[1, 2, 3] = 1) -> dict[str, Any]:
        """Put a book on the shelf."""
        return {"book": book.model_dump(mode="json"), "at": at.isoformat(), "copies": copies}

    @bentoml.api
    def catalogue(self, book: Book, /) -> Book:
        """Return a book as it is: the body itself is the book."""
        return book

    @bentoml.api
    def shout(self, text: str, /) -> str:
        """Return a text in capitals: the body itself is the text."""
        return text.upper()

    @bentoml.api
    def invert(self, matrix: Matrix, factor: float = 1.0) -> np.ndarray:
        """Return the inverse of a matrix."""
        return np.linalg.pinv(np.nan_to_num(matrix, posinf=1.0, neginf=1.0)) * factor

    @bentoml.api
    def scale(
        self, picture: Image.Image, factor: Scale = 0.5, mirror: bool = False
    ) -> Annotated[Image.Image, ContentType("image/png")]:
        """Make a picture smaller or larger."""
        size = [max(1, min(1000, round(side * factor))) for side in picture.size]
        small = picture.convert("RGB").resize((size[0], size[1]))
        return ImageOps.mirror(small) if mirror else small

    @bentoml.api
    def count(self, files: list[Path], unit: Literal["bytes", "lines"] = "bytes") -> dict[str, int]:
        """Count what is in files."""
        contents = [file.read_bytes() for file in files]
        return {unit: sum(len(c) if unit == "bytes" else len(c.splitlines()) for c in contents)}

    @bentoml.api
    def tone(
        self, ctx: bentoml.Context, hertz: Annotated[int, Field(ge=100, le=2000)] = 440
    ) -> Annotated[Path, ContentType("audio/wav")]:
        """Return a tone of a tenth of a second."""
        path = Path(ctx.temp_dir) / "tone.wav"
        samples = [round(9000 * math.sin(2 * math.pi * hertz * i / 8000)) for i in range(800)]
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(struct.pack("<800h", *samples))
        return path

    @bentoml.api
    def report(self, ctx: bentoml.Context, title: str = "Report") -> Path:
        """Return a text file."""
        path = Path(ctx.temp_dir) / "report.txt"
        path.write_text(f"{title}\n")
        return path

    @bentoml.api
    async def tell(
        self,
        words: Annotated[int, Field(ge=0, le=50)] = 10,
        pause: Annotated[float, Field(ge=0, le=0.1)] = 0.0,
    ) -> AsyncIterator[str]:
        """Stream words, one after the other."""
        for i in range(words):
            yield f"word {i} "
            await asyncio.sleep(pause)

    @bentoml.api
    async def break_off(self, after: Annotated[int, Field(ge=1, le=5)] = 3) -> AsyncIterator[str]:
        """Stream words, and fail on the way."""
        for i in range(after):
            yield f"word {i} "
            await asyncio.sleep(0)
        raise ServiceUnavailable("there are no more words")

    @bentoml.api
    def find(self, name: str) -> str:
        """Find what is not there."""
        raise NotFound(f"there is no `{name}`")

    @bentoml.api
    def mixed(self, value: int | str | list[int], options: dict[str, float] | None = None) -> dict[str, Any]:
        """Take one of several types."""
        return {"value": value, "options": options}

    @bentoml.task
    def train(self, rounds: Annotated[int, Field(ge=0, le=20)] = 3) -> dict[str, int]:
        """Work for a while; better in the background."""
        return {"rounds": rounds}
