"""Tasks of another service: run by the same process, or by another server, and spoken to the same way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from tests.client.serving import serving
from tests.runtime.served import Served, served

import bentoml
from bentoml.exceptions import BentoMLException, InvalidArgument


@bentoml.service(traffic={"concurrency": 3})
class Painter:
    @bentoml.task
    def paint(self, words: list[str]) -> tuple[str, ...]:
        return tuple(words)

    @bentoml.task(name="sketching", route="/sketch")
    async def sketch(self, seconds: float = 0) -> float:
        await anyio.sleep(seconds)
        return seconds

    @bentoml.task
    def fail(self) -> str:
        raise InvalidArgument("no paint left")

    @bentoml.api
    def plain(self) -> int:
        return 1


def studio(**dependency: Any) -> Any:
    @bentoml.service
    class Studio:
        painter = bentoml.depends(**dependency)

        @bentoml.api
        def paint(self) -> dict[str, Any]:
            paint = self.painter.paint
            task = paint.submit(words=["a"], unknown=1)
            words = task.wait(60)
            again = task.retry()
            assert again.id != task.id and again.wait(60) == words
            assert paint.get(task.id) == words == paint(words=["a"])
            return {"status": paint.get_status(task.id), "kind": type(words).__name__, "words": words}

        @bentoml.api
        async def sketch(self) -> list[Any]:
            painter = self.painter
            short = await painter.sketch.submit()
            long = await painter.to_async.sketch.submit(60)
            sync = await painter.to_async.paint.submit(["b"])
            got = [await short.wait(60), await sync.wait(60)]
            await long.cancel()
            return [*got, await long.get_status(), await painter.sketch(0)]

        @bentoml.api
        def fail(self, words: Any = 0) -> str:
            with pytest.raises(BentoMLException):
                self.painter.paint.submit(words=words)
            task = self.painter.fail.submit()
            while not task.get_status().is_final:
                time.sleep(0.01)
            with pytest.raises(InvalidArgument, match="no paint left"):
                task.get()
            return str(task.get_status())

    return Studio


def check(app: Served) -> None:
    assert app.ask("/paint", {}).json() == {"status": "completed", "kind": "tuple", "words": ["a"]}
    assert app.ask("/sketch", {}).json() == [0, ["b"], "canceled", 0]
    assert app.ask("/fail", {}).body == b"failed"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    _ = anyio.open_file  # pytest rewrites what anyio loads late, which Python 3.11 cannot do deep in a thread
    painter: Any = Painter
    with serving(painter.to_asgi(), lifespan="on") as address:
        yield address


def test_in_the_same_process() -> None:
    with served(studio(on=Painter)) as app:
        check(app)


def test_at_an_address(url: str) -> None:
    with served(studio(on=Painter, url=url)) as app:
        check(app)


def test_without_its_class(url: str) -> None:
    @bentoml.service
    class Caller:
        painter = bentoml.depends(url=url)

        @bentoml.api
        def call(self) -> list[Any]:
            return [self.painter.to_sync.paint.submit(words=["a"]).wait(60)]

        @bentoml.api
        async def acall(self) -> list[Any]:
            task = await self.painter.to_async.sketching.submit(0)
            return [await task.wait(60)]

    with served(Caller) as app:
        assert app.ask("/call", {}).json() == [["a"]]
        assert app.ask("/acall", {}).json() == [0]


def test_waiting_on_the_loop_that_would_answer() -> None:
    @bentoml.service
    class Careless:
        painter = bentoml.depends(Painter)

        @bentoml.api
        async def paint(self) -> str:
            with pytest.raises(BentoMLException, match=r"to_async\.<task>\.submit"):
                self.painter.paint.submit(words=[])
            return "so"

    with served(Careless) as app:
        assert app.ask("/paint", {}).body == b"so"


def test_without_a_server() -> None:
    painter = studio(on=Painter)().painter
    assert painter.paint(["a"]) == ("a",)
    with pytest.raises(BentoMLException, match="`submit` of a task needs a server"):
        painter.paint.submit(["a"])
    with pytest.raises(AttributeError, match="a task has `submit`"):
        painter.paint.submitt(["a"])
    assert not hasattr(painter.plain, "submit")
