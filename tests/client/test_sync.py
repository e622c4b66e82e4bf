"""The client against a real service on the loopback."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import PIL.Image
import pytest
from pydantic import BaseModel
from tests.client.serving import serving

import bentoml
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound, ServiceUnavailable
from bentoml.runtime.app import AppOptions, create_app

Image = PIL.Image.Image


class Params(BaseModel):
    prompt: str
    steps: int = 25


AWAKE = threading.Event()


@bentoml.service(traffic={"timeout": 20})
class Everything:
    @bentoml.api
    def summarize(self, text: str, length: int = 3) -> str:
        return text[:length]

    @bentoml.api
    def params(self, params: Params) -> Params:
        return params

    @bentoml.api
    def double(self, array: Annotated[np.ndarray, bentoml.validators.DType("float32")]) -> np.ndarray:
        return array * 2

    @bentoml.api
    def describe(self, file: Path, tag: str, scale: np.ndarray) -> dict[str, Any]:
        return {"text": file.read_text(), "suffix": file.suffix, "tag": tag, "sum": float(scale.sum())}

    @bentoml.api
    def join(self, files: list[Path]) -> str:
        return "+".join(file.read_text() for file in files)

    @bentoml.api
    def maybe(self, file: Path | None = None) -> str:
        return "none" if file is None else file.read_text()

    @bentoml.api
    def write(self, name: str, ctx: bentoml.Context) -> Path:
        path = Path(ctx.temp_dir) / name
        path.write_text("written")
        return path

    @bentoml.api
    def turn(self, image: Image) -> Image:
        return image.rotate(90, expand=True)

    @bentoml.api
    def shout(self, text: str, /) -> str:
        return text.upper()

    @bentoml.api
    def measure(self, file: Path, /) -> int:
        return file.stat().st_size

    @bentoml.api
    async def stream(self, text: str) -> AsyncGenerator[str, None]:
        for character in text:
            yield character

    @bentoml.api
    def numbers(self, count: int) -> Generator[dict[str, int], None, None]:
        for number in range(count):
            yield {"number": number}

    @bentoml.api
    async def broken_stream(self, text: str) -> AsyncGenerator[str, None]:
        if not text:
            raise InvalidArgument("not even one step")
        yield text

    @bentoml.api
    def fail(self, code: int) -> None:
        raise BentoMLException(f"failed with {code}", error_code=code)

    @bentoml.api
    def slow(self, seconds: float) -> str:
        AWAKE.wait(seconds)
        return "done"

    @bentoml.api
    def header(self, ctx: bentoml.Context) -> str:
        return ctx.request.headers.get("authorization", "")

    @bentoml.api
    def close(self) -> str:
        return "closed"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    service: Any = Everything  # a class to the type checker, which does not see what class decorators return
    with serving(create_app(service, options=AppOptions(access_log=False)), lifespan="on") as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[bentoml.SyncHTTPClient]:
    with bentoml.SyncHTTPClient(url) as client:
        yield client


def test_calls(client: bentoml.SyncHTTPClient) -> None:
    assert client.summarize(text="abcdef") == "abc"
    assert client.summarize("abcdef", 2) == "ab"
    assert client.call("summarize", text="é" * 5) == "ééé"
    assert client.params({"prompt": "a"}) == {"prompt": "a", "steps": 25}
    assert client.params(Params(prompt="b", steps=1)) == {"prompt": "b", "steps": 1}


def test_arrays(client: bentoml.SyncHTTPClient) -> None:
    doubled = client.double(np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1])
    assert np.array_equal(doubled, [[4, 2, 0], [10, 8, 6]])
    assert np.array_equal(client.double([1, 2]), [2, 4])


@pytest.mark.parametrize("kind", ["path", "text", "open", "bytes", "buffer"])
def test_files(client: bentoml.SyncHTTPClient, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hé")
    with path.open("rb") as opened:
        given: Any = {
            "path": path, "text": str(path), "open": opened, "bytes": "hé".encode(), "buffer": io.BytesIO("hé".encode())
        }[kind]  # fmt: skip
        answer = client.describe(file=given, tag="3", scale=np.ones((2, 2)))
    suffix = ".txt" if kind in ("path", "text", "open") else ""
    assert answer == {"text": "hé", "suffix": suffix, "tag": "3", "sum": 4.0}


def test_a_pipe_as_a_file(client: bentoml.SyncHTTPClient) -> None:
    reading, writing = os.pipe()
    with open(writing, "wb") as pipe:
        pipe.write(b"through a pipe")
    with open(reading, "rb") as pipe:
        assert client.maybe(pipe) == "through a pipe"


def test_a_file_is_read_from_its_start(client: bentoml.SyncHTTPClient) -> None:
    file = io.BytesIO(b"from the start")
    file.seek(5)
    assert client.maybe(file) == "from the start"


def test_several_threads_share_a_client(client: bentoml.SyncHTTPClient) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda i: client.summarize(str(i), 9), range(40)))
    assert answers == [str(i) for i in range(40)]


def test_several_files_and_none(client: bentoml.SyncHTTPClient) -> None:
    assert client.join(files=[b"a", b"b", b"c"]) == "a+b+c"
    assert client.join(files=[b"a"]) == "a"
    assert client.maybe() == client.maybe(None) == "none"
    assert client.maybe(b"x") == "x"


def test_files_come_back_as_paths_until_the_client_closes(url: str) -> None:
    with bentoml.SyncHTTPClient(url) as client:
        path = client.write(name="out.txt")
        assert isinstance(path, Path)
        assert path.name.endswith("out.txt") and path.read_text() == "written"
    assert not path.exists()


def test_images(client: bentoml.SyncHTTPClient, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (3, 2), "red").save(tmp_path / "a.png")
    with PIL.Image.open(tmp_path / "a.png") as opened:
        for given in (tmp_path / "a.png", PIL.Image.new("RGB", (3, 2)), opened):
            turned = client.turn(image=given)
            assert turned.size == (2, 3)
            assert Path(turned.filename).is_file()


def test_root_input(client: bentoml.SyncHTTPClient, tmp_path: Path) -> None:
    assert client.shout("é") == "É"
    assert client.measure(b"12345") == 5
    (tmp_path / "a").write_bytes(b"123")
    assert client.measure(tmp_path / "a") == 3


def test_streams(client: bentoml.SyncHTTPClient) -> None:
    assert "".join(client.stream(text="aé🍱" * 50)) == "aé🍱" * 50
    assert list(client.numbers(count=3)) == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_a_stream_can_be_left(client: bentoml.SyncHTTPClient) -> None:
    stream = client.numbers(count=1000)
    assert next(stream) == {"number": 0}
    stream.close()
    assert client.summarize("abc") == "abc"


def test_a_stream_that_fails_at_once(client: bentoml.SyncHTTPClient) -> None:
    with pytest.raises(InvalidArgument, match="not even one step"):
        list(client.broken_stream(text=""))


def test_errors(client: bentoml.SyncHTTPClient) -> None:
    with pytest.raises(
        InvalidArgument, match=r"^1 validation error for Input\n  params\.steps: Input should be"
    ):
        client.params({"prompt": "a", "steps": "b"})
    with pytest.raises(NotFound, match="failed with 404"):
        client.fail(404)
    with pytest.raises(BentoMLException, match="failed with 418") as caught:
        client.fail(418)
    assert caught.value.error_code == 418
    with pytest.raises(NotFound, match="Endpoint nothing not found"):
        client.call("nothing")
    with pytest.raises(TypeError, match="Missing required arguments in endpoint summarize"):
        client.summarize()
    with pytest.raises(AttributeError, match=r"no attribute or API 'nothing'; the service has .*summarize"):
        client.nothing()


def test_a_name_that_the_client_has_itself(client: bentoml.SyncHTTPClient) -> None:
    assert client.api_close() == "closed"
    assert {"api_close", "summarize", "request"} <= set(dir(client))


def test_a_request_of_ones_own(client: bentoml.SyncHTTPClient) -> None:
    response = client.request("POST", "/summarize", json={"text": "abcdef"})
    assert (response.status_code, response.text) == (200, "abc")
    assert client.client.get("/readyz").status_code == 200


def test_the_token_is_the_given_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTO_CLOUD_API_KEY", "the key of a cloud")
    with bentoml.SyncHTTPClient(url, token="mine") as client:
        assert client.header() == "Bearer mine"
    with bentoml.SyncHTTPClient(url) as client:
        assert client.header() == ""


def test_an_answer_that_comes_too_late(url: str) -> None:
    try:
        with (
            bentoml.SyncHTTPClient(url) as client,
            pytest.raises(ServiceUnavailable, match=f"`{url}` did not answer within 0.2 seconds"),
        ):
            client.with_options(timeout=0.2).slow(seconds=30)
    finally:
        AWAKE.set()  # its thread is needed by others
