"""A service tested in this process, without a socket, by the clients that call a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import bentoml
from bentoml.exceptions import BentoMLException, InvalidArgument, RequestTimeout


@bentoml.service
class Model:
    @bentoml.api
    async def complete(self, text: str) -> str:
        return f"{text} and so on"

    @bentoml.api
    def score(self, text: str) -> float:
        return float(len(text))

    @bentoml.api
    async def letters(self, text: str) -> AsyncGenerator[str, None]:
        for letter in text:
            yield letter


@bentoml.service(traffic={"timeout": 20})
class Writer:
    model = bentoml.depends(Model)

    def __init__(self) -> None:
        self.events = ["made"]
        self.ended = 0

    @bentoml.on_deployment
    def deploy() -> None:
        deployed.append("Writer")

    @bentoml.on_startup
    async def start(self) -> None:
        self.events.append("started")

    @bentoml.on_shutdown
    def stop(self) -> None:
        stopped.append("Writer")

    @bentoml.api
    async def write(self, text: str) -> str:
        return f"{await self.model.complete(text)}, {await self.model.to_async.score(text)}"

    @bentoml.api
    def write_sync(self, text: str) -> str:
        return f"{self.model.to_sync.complete(text)}, {self.model.score(text)}"

    @bentoml.api
    async def spell(self, text: str) -> list[str]:
        return [letter async for letter in self.model.to_async.letters(text)]

    @bentoml.api
    async def extra(self, text: str) -> float:
        awaited: float = await self.model.to_async.score(text, precision=2)
        direct: float = self.model.score(text, precision=2)
        return awaited + direct

    @bentoml.api
    def history(self) -> list[str]:
        return self.events

    @bentoml.api
    def upper(self, file: Path, ctx: bentoml.Context) -> Path:
        answer = Path(ctx.temp_dir) / "upper.txt"
        answer.write_text(file.read_text().upper())
        return answer

    @bentoml.api
    async def count(self, until: int) -> AsyncGenerator[str, None]:
        try:
            for number in range(until):
                yield f"{number} "
                await asyncio.sleep(0.01)
        finally:
            self.ended += 1

    @bentoml.api
    async def burst(self, until: int) -> AsyncGenerator[str, None]:
        for number in range(until):
            yield f"{number} "

    @bentoml.api
    def burst_sync(self, until: int) -> Generator[str, None, None]:
        for number in range(until):
            yield f"{number} "

    @bentoml.api
    def count_sync(self, until: int) -> Generator[dict[str, int], None, None]:
        for number in range(until):
            yield {"number": number}

    @bentoml.api
    def ends(self) -> int:
        return self.ended

    @bentoml.api
    def refuse(self) -> None:
        raise InvalidArgument("not today")

    @bentoml.api
    async def slow(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    @bentoml.api
    def token(self, ctx: bentoml.Context) -> str:
        return ctx.request.headers.get("authorization", "")


deployed: list[str] = []
stopped: list[str] = []


@pytest.fixture(scope="module")
def client() -> Iterator[bentoml.SyncHTTPClient]:
    with bentoml.testing.client(Writer) as client:
        yield client


def test_calls(client: bentoml.SyncHTTPClient) -> None:
    assert client.write(text="hi") == "hi and so on, 2.0"
    assert client.write_sync("hi") == "hi and so on, 2.0"
    assert client.call("spell", text="ab") == ["a", "b"]
    assert client.upper(file=b"abc").read_text() == "ABC"
    assert client.is_ready()
    assert client.request("GET", "/livez").status_code == 200
    assert client.client.get("/nothing").status_code == 404


def test_hooks() -> None:
    deployed.clear()
    stopped.clear()
    with bentoml.testing.client(Writer) as client:
        assert deployed == ["Writer"]
        assert client.history() == ["made", "started"]
        assert not stopped
    assert stopped == ["Writer"]


def test_errors(client: bentoml.SyncHTTPClient) -> None:
    with pytest.raises(InvalidArgument, match="not today"):
        client.refuse()
    with pytest.raises(InvalidArgument, match=r"text: .*string"):
        client.write(text=1)
    with pytest.raises(TypeError, match="Missing required arguments in endpoint write"):
        client.write()


def test_each_step_of_a_stream_comes_on_its_own(client: bentoml.SyncHTTPClient) -> None:
    assert list(client.burst(until=3)) == list(client.burst_sync(until=3)) == ["0 ", "1 ", "2 "]


def test_streams_come_as_they_are_made(client: bentoml.SyncHTTPClient) -> None:
    assert "".join(client.count(until=3)) == "0 1 2 "
    assert list(client.count_sync(until=2)) == [{"number": 0}, {"number": 1}]
    began = time.monotonic()
    stream = client.count(until=10_000)
    assert next(stream).startswith("0")
    ends = client.ends()
    stream.close()
    assert wait_for(lambda: client.ends() == ends + 1), "the service's generator goes on"
    assert time.monotonic() - began < 40, "of a hundred seconds"


def wait_for(condition: Any) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(condition())


def test_a_fake_stands_for_a_dependency() -> None:
    model = Mock()
    model.complete.return_value = "fake"
    model.score.return_value = 1.5
    model.letters.return_value = ["x", "y"]
    with bentoml.testing.client(Writer, dependencies={"model": model}) as client:
        assert client.write(text="hi") == "fake, 1.5"
        assert client.write_sync(text="hi") == "fake, 1.5"
        assert client.spell(text="hi") == ["x", "y"]
    model.complete.assert_called_with("hi")


def test_an_async_fake() -> None:
    class Fake:
        async def complete(self, text: str) -> str:
            return text[::-1]

        def score(self, text: str) -> float:
            return 0.0  # without `precision`, which the real one does not declare either

        async def letters(self, text: str) -> AsyncIterator[str]:
            yield text

    with bentoml.testing.client(Writer, dependencies={"model": Fake()}) as client:
        assert client.write(text="hi") == client.write_sync(text="hi") == "ih, 0.0"
        assert client.spell(text="hi") == ["hi"]
        assert client.extra(text="hi") == 0.0


def test_the_real_dependency_is_not_made_where_there_is_a_fake() -> None:
    @bentoml.service
    class Heavy:
        def __init__(self) -> None:
            raise MemoryError

        @bentoml.api
        def size(self) -> int:
            return 0

    @bentoml.service
    class Light:
        heavy = bentoml.depends(Heavy)

        @bentoml.api
        def double(self) -> int:
            return 2 * int(self.heavy.size())

    with bentoml.testing.client(Light, dependencies={"heavy": Mock(size=lambda: 4)}) as client:
        assert client.double() == 8
    with pytest.raises(MemoryError), bentoml.testing.client(Light):
        pass


def test_wrong_use() -> None:
    with (
        pytest.raises(ValueError, match="has no dependency `modle`; it has `model`"),
        bentoml.testing.client(Writer, dependencies={"modle": Mock()}),
    ):
        pass
    with pytest.raises(TypeError, match="is not a service"), bentoml.testing.client(dict):
        pass


def test_settings() -> None:
    with (
        bentoml.testing.client(Writer, settings={"traffic": {"timeout": 0.1}}) as client,
        pytest.raises(BentoMLException, match=r"Not able to process the request in 0\.1 seconds") as caught,
    ):
        client.slow(seconds=10)
    assert caught.value.error_code == 504
    with bentoml.testing.client(Writer) as client:
        assert client.slow(seconds=0.15) == "done", "the service itself has the settings that it had"


def test_a_limit_of_requests() -> None:
    with bentoml.testing.client(Writer, settings={"traffic": {"max_concurrency": 1}}) as client:
        busy = client.count(until=10_000)
        next(busy)
        with pytest.raises(BentoMLException, match="Too many requests"):
            client.slow(seconds=0)
        busy.close()


def test_a_token_and_a_timeout() -> None:
    with bentoml.testing.client(Writer, token="mine") as client:
        assert client.token() == "Bearer mine"
    with (
        bentoml.testing.client(Writer, timeout=0.1) as client,
        pytest.raises(RequestTimeout, match=r"did not answer within 0\.1 seconds"),
    ):
        client.slow(seconds=0.5)


def test_async() -> None:
    async def main() -> None:
        async with bentoml.testing.async_client(Writer) as client:
            assert await client.write(text="hi") == "hi and so on, 2.0"
            assert [chunk async for chunk in client.count(until=2)] == ["0 ", "1 "]
            assert await asyncio.gather(*(client.spell(text=str(n)) for n in range(20))) == [
                list(str(n)) for n in range(20)
            ]
            stream = client.count(until=10_000)
            assert await anext(stream) == "0 "
            await stream.aclose()
            deadline = time.monotonic() + 30
            while (ends := await client.ends()) < 2 and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            assert ends == 2
            with pytest.raises(InvalidArgument, match="not today"):
                await client.refuse()

    asyncio.run(main())
