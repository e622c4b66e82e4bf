"""Which bodies an async API has read in a thread: those that would keep everybody else waiting."""

from __future__ import annotations

import io
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import PIL.Image
import pytest
from pydantic import AfterValidator
from tests.runtime.served import Served, served

import bentoml

LONG = 300_000


def _where(value: Any) -> Any:
    """Note which thread reads the value."""
    readers.append(threading.current_thread().name)
    return value


readers: list[str] = []
Image = Annotated[PIL.Image.Image, AfterValidator(_where)]
Items = Annotated[list[int], AfterValidator(_where)]


@bentoml.service(threads=1)
class Reader:
    @bentoml.api
    async def items(self, items: Items) -> int:
        return len(items)

    @bentoml.api
    async def image(self, image: Image, ctx: bentoml.Context) -> int:
        return image.width

    @bentoml.api
    async def images(self, images: list[Image]) -> AsyncIterator[str]:
        yield str(len(images))

    @bentoml.api
    def steps(self, items: Items) -> Iterator[str]:
        yield str(len(items))


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served(Reader) as one:
        yield one


def _form(name: str) -> tuple[bytes, dict[str, str]]:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (3, 3)).save(buffer, "PNG")
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode()
    return head + buffer.getvalue() + b"\r\n--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize("api", ["items", "steps"])
@pytest.mark.parametrize(("count", "in_thread"), [(3, False), (LONG, True)], ids=["short", "long"])
def test_long_bodies(app: Served, api: str, count: int, in_thread: bool) -> None:
    readers.clear()
    assert app.ask(f"/{api}", {"items": [1] * count}).body.split() == [str(count).encode()]
    assert [name.startswith("bentoml-disk") for name in readers] == [in_thread]


@pytest.mark.parametrize(("api", "name", "answer"), [("image", "image", b"3"), ("images", "images", b"1")])
def test_images(app: Served, api: str, name: str, answer: bytes) -> None:
    readers.clear()
    body, headers = _form(name)
    assert app.ask(f"/{api}", body, headers=headers).body == answer
    assert [one.startswith("bentoml-disk") for one in readers] == [True]


def test_what_is_wrong_with_a_long_body(app: Served) -> None:
    reply = app.ask("/items", {"items": ["x"] * LONG})
    assert reply.status == 400
    assert reply.json()["detail"][0]["loc"] == ["items", 0]
