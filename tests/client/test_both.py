"""Both clients against a real server: many calls at once, calls that are given up, clients that are forgotten."""

from __future__ import annotations

import asyncio
import copy
import gc
import multiprocessing
import pickle
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.client.serving import serving

import bentoml
from bentoml.exceptions import BentoMLException, NotFound, RequestTimeout, ServiceUnavailable
from bentoml.runtime.app import AppOptions, create_app

pytestmark = pytest.mark.slow  # a server is started, and calls are waited for


OVER = threading.Event()  # the tests are: nobody sleeps any longer


@bentoml.service(traffic={"timeout": 60})
class Slow:
    def __init__(self) -> None:
        self.gone = 0
        self.here = Counter[str]()
        self.most = Counter[str]()

    @bentoml.api
    async def echo(self, text: str) -> str:
        return text

    @bentoml.api
    async def sleep(self, seconds: float) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not OVER.is_set():
            await asyncio.sleep(0.02)
        return "done"

    @bentoml.api
    async def meet(self, place: str, number: int) -> int:
        """Answer once so many have been there together; say how many these were at most."""
        self.here[place] += 1
        self.most[place] = max(self.most[place], self.here[place])
        while self.most[place] < number:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        self.here[place] -= 1
        return self.most[place]

    @bentoml.api
    async def endless(self) -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0.01)
        finally:
            self.gone += 1

    @bentoml.api
    def ends(self) -> int:
        return self.gone

    @bentoml.api
    def write(self, ctx: bentoml.Context) -> Path:
        path = Path(ctx.temp_dir) / "a.txt"
        path.write_text("written")
        return path


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    service: Any = Slow  # a class to the type checker, which does not see what class decorators return
    with serving(create_app(service, options=AppOptions(access_log=False)), lifespan="on") as address:
        try:
            yield address
        finally:
            OVER.set()


async def wait_for(condition: Any) -> bool:
    deadline = time.monotonic() + 30
    while not await condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def test_async_calls(url: str) -> None:
    async def main() -> None:
        async with bentoml.AsyncHTTPClient(url) as client:
            assert await client.echo(text="a") == await client.call("echo", "a") == "a"
            assert await client.is_ready()
            await client.wait_until_server_ready(30)
            assert (await client.request("GET", "/livez")).status_code == 200
            assert sorted(client.endpoints) == ["echo", "endless", "ends", "meet", "sleep", "write"]
            assert {"echo", "close"} <= set(dir(client))
            path = await client.write()
            assert path.read_text() == "written"
            with pytest.raises(NotFound, match="Endpoint nothing not found"):
                await client.call("nothing")
            with pytest.raises(TypeError, match="Missing required arguments"):
                client.echo()
            with pytest.raises(AttributeError, match="no attribute or API 'nothing'"):
                client.nothing  # noqa: B018
        assert not path.exists()

    asyncio.run(main())


def test_an_async_client_before_and_after_its_block(url: str) -> None:
    async def main() -> None:
        client = bentoml.AsyncHTTPClient(url)
        for use in (
            lambda: client.echo(text="a"),
            lambda: client.endpoints,
            lambda: client.call("echo", "a"),
        ):
            with pytest.raises(RuntimeError, match="use it as an async context manager"):
                result: Any = use()
                await result
        assert not hasattr(client, "__len__")
        assert await client.__aenter__() is client
        assert await client.echo(text="a") == "a"
        await client.close()
        await client.close()
        with pytest.raises(RuntimeError, match="closed"):
            await client.echo(text="a")
        async with client:
            assert await client.echo(text="b") == "b"

    asyncio.run(main())
    client = bentoml.AsyncHTTPClient(url)

    async def block() -> str:
        async with client:
            text: str = await client.echo(text="a")
            return text

    assert asyncio.run(block()) == asyncio.run(block()) == "a", "each time on an event loop of its own"


def test_many_async_calls_at_once(url: str) -> None:
    async def main() -> None:
        async with bentoml.AsyncHTTPClient(url, max_connections=20) as client:
            answers = await asyncio.gather(*(client.echo(text=str(n)) for n in range(300)))
            assert answers == [str(n) for n in range(300)]
            together = await asyncio.gather(*(client.meet(place="loop", number=20) for _ in range(60)))
            assert max(together) == 20

    asyncio.run(main())


def test_a_cancelled_call_hangs_up_at_once(url: str) -> None:
    async def main() -> None:
        async with bentoml.AsyncHTTPClient(url, max_connections=1) as client:
            call = asyncio.create_task(client.sleep(seconds=50))
            await asyncio.sleep(0.1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.sleep(seconds=50)
            assert await client.echo(text="still here") == "still here", "the one connection is free again"
            assert time.monotonic() - began < 40

    asyncio.run(main())


def test_streams_that_are_left(url: str) -> None:
    async def main() -> None:
        async with bentoml.AsyncHTTPClient(url) as client:
            gone = await client.ends()

            async def ended() -> bool:
                return bool(await client.ends() == gone)

            async for _ in client.endless():
                break
            gone += 1
            assert await wait_for(ended), "a loop that is left"
            stream = client.endless()
            await anext(stream)
            await stream.aclose()
            gone += 1
            assert await wait_for(ended), "a generator that is closed"
            begun = asyncio.Event()
            reading = asyncio.create_task(consume(client.endless(), begun))
            await begun.wait()
            reading.cancel()
            gone += 1
            assert await wait_for(ended), "a task that is cancelled"

    asyncio.run(main())
    with bentoml.SyncHTTPClient(url) as client:
        gone = client.ends()
        for _ in client.endless():
            break
        deadline = time.monotonic() + 30
        while client.ends() == gone and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.ends() == gone + 1


async def consume(stream: Any, begun: asyncio.Event) -> None:
    async for _ in stream:
        begun.set()


def test_ctrl_c_ends_a_sync_call(url: str) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with bentoml.SyncHTTPClient(url, max_connections=1) as client:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                client.sleep(seconds=50)
            assert client.with_options(timeout=30).echo(text="free") == "free"
    finally:
        signal.signal(signal.SIGALRM, before)


def test_threads_share_a_client(url: str) -> None:
    with bentoml.SyncHTTPClient(url) as client, ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: client.echo(text=str(n)), range(400)))
        assert answers == [str(n) for n in range(400)]
        together = list(threads.map(lambda _: client.meet(place="threads", number=16), range(16)))
        assert max(together) == 16


def test_a_call_uses_the_connection_of_the_last_one(url: str) -> None:
    with bentoml.SyncHTTPClient(url) as client:
        for _ in range(5):
            client.echo(text="a")
        pool = client.client._transport._pool  # type: ignore[attr-defined]  # to see what no public name shows
        assert len(pool.connections) == 1


def test_options_for_one_call(url: str) -> None:
    with bentoml.SyncHTTPClient(url, timeout=9) as client:
        quick = client.with_options(timeout=0.1)
        assert (client.timeout, client.retries, quick.timeout, quick.retries) == (9, 0, 0.1, 0)
        client.echo(text="connected")
        with pytest.raises(RequestTimeout, match=r"did not answer within 0\.1 seconds"):
            quick.sleep(seconds=50)
        assert client.with_options(timeout=None).timeout is None
        assert quick.client is client.client


def test_no_more_connections(url: str) -> None:
    with bentoml.SyncHTTPClient(url, max_connections=1) as client:
        stream = client.endless()
        next(stream)
        with pytest.raises(RequestTimeout, match="give the client more `max_connections`, or close streams"):
            client.with_options(timeout=0.2).echo(text="a")
        stream.close()
        assert client.echo(text="a") == "a"


def test_a_client_that_is_forgotten_leaves_nothing(url: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = bentoml.SyncHTTPClient(url)
        path = client.write()
        del client
        gc.collect()
    assert not path.parent.exists()


def test_an_async_client_that_is_forgotten_closes_its_connections(url: str) -> None:
    async def main() -> None:
        client = await bentoml.AsyncHTTPClient(url).__aenter__()
        await client.echo(text="a")
        del client
        gc.collect()
        await asyncio.sleep(0.05)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
        gc.collect()


def test_what_comes_from_a_client_keeps_its_connections(url: str) -> None:
    echo = bentoml.SyncHTTPClient(url).echo
    quick = bentoml.SyncHTTPClient(url).with_options(timeout=30)
    stream = bentoml.SyncHTTPClient(url).endless()
    gc.collect()
    assert echo(text="a") == quick.echo(text="a") == "a"
    assert next(stream).startswith("x")
    stream.close()


def test_closing_twice_and_calling_after(url: str) -> None:
    client = bentoml.SyncHTTPClient(url)
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.echo(text="a")


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy], ids=["pickle", "deepcopy"])
def test_a_client_is_not_copied(url: str, copied: Any) -> None:
    with bentoml.SyncHTTPClient(url) as client, pytest.raises(TypeError, match="holds connections"):
        copied(client)
    with pytest.raises(TypeError, match="AsyncHTTPClient holds connections"):
        copied(bentoml.AsyncHTTPClient(url))


def _in_child(client: bentoml.SyncHTTPClient, path: Path, answers: Any) -> None:
    answers.put([client.echo(text=f"child {n}") for n in range(20)])
    client.close()
    assert path.exists()


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(url: str) -> None:
    context = multiprocessing.get_context("fork")
    with bentoml.SyncHTTPClient(url) as client:
        path = client.write()
        answers = context.Queue()
        child = context.Process(target=_in_child, args=(client, path, answers))
        child.start()
        assert [client.echo(text=f"parent {n}") for n in range(20)] == [f"parent {n}" for n in range(20)]
        assert answers.get(timeout=60) == [f"child {n}" for n in range(20)]
        child.join(60)
        assert child.exitcode == 0
        assert path.read_text() == "written"
        answers.close()


def test_a_server_that_is_gone(url: str) -> None:
    async def main() -> None:
        with serving(_hello) as address:
            client = await bentoml.AsyncHTTPClient(address).__aenter__()
        assert not await client.is_ready(timeout=0.5)
        with pytest.raises(ServiceUnavailable):
            await client.request("GET", "/x")
        with pytest.raises(BentoMLException, match=r"not ready after 0\.1 seconds"):
            await client.wait_until_server_ready(0.1)
        await client.close()
        other = bentoml.AsyncHTTPClient(address, server_ready_timeout=0)
        with pytest.raises(ServiceUnavailable, match="is the server running"):
            await other.__aenter__()

    asyncio.run(main())


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"routes": []}'})


def test_a_unix_socket_for_the_async_client(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def main(address: str) -> None:
        async with bentoml.AsyncHTTPClient(address) as client:
            assert client.endpoints == {}

    with serving(_hello, unix=path):
        asyncio.run(main(f"unix:{path}"))
