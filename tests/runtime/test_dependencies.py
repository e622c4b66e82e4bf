"""Dependencies at an address: another server, called as if the service were here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from pydantic import BaseModel
from tests.client.serving import serving
from tests.runtime.served import served

import bentoml
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound, ServiceUnavailable


class Point(BaseModel):
    x: int


@bentoml.service
class Far:
    @bentoml.api
    def double(self, n: int) -> int:
        return 2 * n

    @bentoml.api(name="greeting")
    async def greet(self, name: str = "you") -> str:
        return f"hello {name}"

    @bentoml.api
    def move(self, point: Point) -> Point:
        return Point(x=point.x + 1)

    @bentoml.api
    def count(self, n: int) -> Iterator[str]:
        yield from map(str, range(n))

    @bentoml.api
    def scale(self, a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return a * 2

    @bentoml.api
    def write(self, text: str, ctx: bentoml.Context) -> Path:
        path = Path(ctx.temp_dir, "a.txt")
        path.write_text(text)
        return path

    @bentoml.api
    def trace(self, ctx: bentoml.Context) -> str | None:
        return ctx.request.headers.get("traceparent")

    @bentoml.api
    def fail(self, code: int) -> str:
        raise InvalidArgument("too bad") if code == 400 else ValueError("secret")


def of(service: Any) -> Any:
    return service


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    _ = anyio.open_file  # pytest rewrites what anyio loads late, which Python 3.11 cannot do deep in a thread
    with serving(of(Far).to_asgi(), lifespan="on") as address:
        yield address


def user(**dependency: Any) -> Any:
    """Return an instance of a service that depends on another one as ``far``."""
    return bentoml.service(type("User", (), {"far": bentoml.depends(**dependency)}))()


def run(far: Any, call: Coroutine[Any, Any, Any]) -> Any:
    """Run a call on an event loop of its own, and leave nothing open."""

    async def closed() -> Any:
        try:
            return await call
        finally:
            await far.close()

    return asyncio.run(closed())


def test_with_its_class_it_is_called_as_it_is_written(url: str) -> None:
    far = user(on=Far, url=url).far
    assert far.double(3) == 6
    assert far.double(n=3, temperature=0.5) == 6
    assert run(far, far.greet("me")) == "hello me"
    assert far.to_sync.greet() == "hello you"
    assert far.move(Point(x=1)) == Point(x=2)
    assert "".join(far.count(2)) == "01"
    assert (far.scale(np.ones(2)) == 2).all()


def test_without_its_class_it_is_called_by_to_sync_and_to_async(url: str) -> None:
    far = user(url=url).far
    assert far.to_sync.double(3) == 6
    assert far.to_sync.move({"x": 1}) == {"x": 2}
    assert "".join(far.to_sync.count(n=3)) == "012"
    with pytest.raises(AttributeError, match=r"write `to_async.double` or `to_sync.double`"):
        far.double(3)
    with pytest.raises(NotFound, match="Endpoint nope not found"):
        far.to_sync.nope()


def test_async_calls_run_at_once_and_streams_come_in_steps(url: str) -> None:
    async def call(far: Any) -> None:
        assert await asyncio.gather(*(far.to_async.double(n) for n in range(5))) == [0, 2, 4, 6, 8]
        assert "".join([piece async for piece in far.to_async.count(4)]) == "0123"

    for far in (user(url=url).far, user(on=Far, url=url).far):
        run(far, call(far))


def test_one_dependency_on_several_event_loops(url: str) -> None:
    far = user(url=url).far
    for n in range(3):

        async def call(n: int = n) -> Any:
            return await far.to_async.double(n)

        assert run(far, call()) == 2 * n


def test_errors_keep_their_kind(url: str) -> None:
    far = user(on=Far, url=url).far
    with pytest.raises(InvalidArgument, match="too bad"):
        far.fail(400)
    with pytest.raises(BentoMLException) as caught:
        far.fail(500)
    assert "secret" not in str(caught.value)
    with pytest.raises(AttributeError, match="has no API `nope`; it has `count`"):
        _ = far.nope


def test_nobody_is_there() -> None:
    far = user(on=Far, url="http://127.0.0.1:9").far
    with pytest.raises(ServiceUnavailable):
        far.double(1)
    assert asyncio.run(far.is_ready(1)) is False


def test_in_a_server(url: str) -> None:
    """The files of another server belong to the request that asked for them, and readiness is that of both."""
    kept: list[Path] = []

    @bentoml.service
    class Near:
        far = bentoml.depends(Far, url=url)
        plain = bentoml.depends(url=url)

        @bentoml.api
        async def text(self) -> str:
            path: Path = await self.far.to_async.write("what")
            kept.append(path)
            return path.read_text()

        @bentoml.api
        def block(self, n: int) -> int:
            doubled: int = self.far.double(n)
            return doubled

        @bentoml.api
        async def letters(self) -> AsyncIterator[str]:
            async for piece in self.plain.to_async.count(n=3):
                yield piece

    with served(Near) as app:
        assert app.ask("/readyz", method="GET").status == 200
        assert app.ask("/text", {}).body == b"what"
        assert not kept[0].exists()
        assert app.ask("/block", {"n": 4}).json() == 8
        assert app.ask("/letters", {}).body == b"012"


def test_a_server_is_not_ready_before_its_dependency_is() -> None:
    @bentoml.service
    class Near:
        far = bentoml.depends(Far, url="http://127.0.0.1:9")

    @bentoml.service(runner_probe={"enabled": False})
    class Careless:
        far = bentoml.depends(Far, url="http://127.0.0.1:9")

    with served(Near) as app:
        reply = app.ask("/readyz", method="GET")
        assert (reply.status, reply.body) == (503, b"Runners are not ready.")
        assert app.ask("/livez", method="GET").status == 200
    with served(Careless) as app:
        assert app.ask("/readyz", method="GET").status == 200


@pytest.mark.parametrize("flags", ["01", "00"])
def test_the_trace_goes_on_in_the_other_server(url: str, flags: str) -> None:
    @bentoml.service(http={"response": {"trace_id": True}})
    class Near:
        far = bentoml.depends(Far, url=url)

        @bentoml.api
        async def awaited(self) -> str:
            trace: str = await self.far.to_async.trace()
            return trace

        @bentoml.api
        def blocking(self) -> str:
            trace: str = self.far.trace()
            return trace

    parent = f"00-{'a' * 32}-{'b' * 16}-{flags}"
    with served(Near) as app:
        for path in ("/awaited", "/blocking"):
            reply = app.ask(path, {}, headers={"traceparent": parent})
            assert reply.body.decode() == f"00-{'a' * 32}-{reply.headers['x-bentoml-request-id']}-{flags}"
            reply = app.ask(path, {})
            its_own = reply.headers["x-bentoml-trace-id"], reply.headers["x-bentoml-request-id"]
            assert reply.body.decode() == f"00-{its_own[0]}-{its_own[1]}-00"


def test_no_trace_goes_on_outside_of_a_request(url: str) -> None:
    assert user(on=Far, url=url).far.trace() is None
