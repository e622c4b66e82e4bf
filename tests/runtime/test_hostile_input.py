"""Requests that are damaged at random: each is answered or refused, none is an error of the server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Annotated, Any

import numpy as np
import PIL.Image
import pytest
from pydantic import BaseModel
from tests.runtime.served import Served, served

import bentoml
from bentoml.validators import DType, Shape

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # what Pillow finds odd in a damaged image

Array = np.ndarray[Any, Any]


class Params(BaseModel):
    size: int = 1
    labels: dict[str, list[float | None]] = {}


@bentoml.service(threads=1)
class Target:
    @bentoml.api
    def typed(self, a: int = 1, b: str = "", c: float | None = None, d: Params | None = None) -> str:
        return f"{a}{b}{c}{d}"

    @bentoml.api
    def array(self, x: Annotated[Array, DType("int8"), Shape((2, -1))], y: Array | None = None) -> Array:
        return x

    @bentoml.api
    def plain_array(self, x: Array) -> Array:
        return x

    @bentoml.api
    def files(self, f: Path, g: list[Path] = [], note: str = "", p: Params | None = None) -> int:  # noqa: B006  # as users write it
        return f.stat().st_size + len(g)

    @bentoml.api
    def image(self, i: PIL.Image.Image) -> str:
        return i.mode

    @bentoml.api
    def root_image(self, i: PIL.Image.Image, /) -> str:
        return i.mode

    @bentoml.api
    def root_model(self, p: Params, /) -> Params:
        return p


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served(Target) as app:
        yield app


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (9, 7), "red").save(buffer, kind)
    return buffer.getvalue()


def form(*parts: tuple[str, bytes]) -> tuple[str, bytes]:
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="' + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return "multipart/form-data; boundary=b", body + b"--b--\r\n"


PARAMS = json.dumps({"size": 3, "labels": {"a": [1.5, None, 1e99], "é": []}}).encode()
FILE = 'f"; filename="../ü\\".txt"\r\nContent-Type: text/plain'
GOOD: list[tuple[str, tuple[str, bytes]]] = [
    ("typed", ("application/json", b'{"a": 12, "b": "\\u00e9\\n", "c": -1.5e3, "d": ' + PARAMS + b"}")),
    ("typed", ("application/x-www-form-urlencoded", b"a=12&b=%C3%A9+x&c=null&d=%7B%22size%22%3A1%7D")),
    ("typed", form(('a"', b"12"), ('b"', b"x"), ('d"', PARAMS))),
    ("array", ("application/json", b'{"x": [[1, 2, -3], [4, 5, 6]], "y": [true, null]}')),
    ("plain_array", ("application/json", b'{"x": [[1, 2.5], ["3", NaN]]}')),
    ("plain_array", form(('x"', b"[1, 2]"), ('x"', b"[3, 4]"))),
    ("files", form((FILE, b"content"), ('g"; filename=a', b""), ('g"; filename*=utf-8\'\'%C3%A9', b"1"), ('p"', PARAMS))),
    *(("image", form((f'i"; filename="i"\r\nContent-Type: image/{kind}', picture(kind)))) for kind in ("png", "gif", "tiff")),
    *(("root_image", ("", picture(kind))) for kind in ("png", "jpeg", "bmp", "webp", "tiff")),
    ("root_model", ("application/json", PARAMS)),
]  # fmt: skip
SPICE = [
    b"\r\n",
    b"--b",
    b"--b--",
    b'"',
    b"\\",
    b"\xff",
    b"\0",
    b"null",
    b"[",
    b"{",
    b"1e999",
    b"\xed\xa0\x80",
    b"%",
    b";",
]


def damaged(data: bytes, random: Random) -> bytes:
    """Return the data with a few places overwritten, cut out, doubled or filled with what means something."""
    for _ in range(random.randint(1, 4)):
        place, length = random.randrange(len(data) + 1), random.randint(0, 8)
        middle = random.choice(
            [random.randbytes(length), b"", data[place : place + length] * 2, random.choice(SPICE)]
        )
        data = data[:place] + middle + data[place + length :]
    return data


@pytest.mark.parametrize("seed", range(20))
def test_damaged_requests(app: Served, seed: int) -> None:
    random = Random(seed)
    for api, (content_type, body) in GOOD:
        hurt = damaged(body, random)
        reply = app.ask(f"/{api}", hurt, headers={"content-type": content_type})
        assert reply.status in (200, 400), (api, content_type, hurt)


@pytest.mark.parametrize(("api", "request_"), GOOD, ids=[f"{api}-{i}" for i, (api, _) in enumerate(GOOD)])
def test_what_is_damaged_was_good(app: Served, api: str, request_: tuple[str, bytes]) -> None:
    content_type, body = request_
    reply = app.ask(f"/{api}", body, headers={"content-type": content_type})
    assert reply.status == (400 if b'["3", NaN]' in body else 200), reply.body
