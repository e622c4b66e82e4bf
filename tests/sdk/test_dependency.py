"""Services that use one another in one process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from tests.sdk.services import of

import bentoml
from bentoml.exceptions import BentoMLConfigException, BentoMLException
from bentoml.sdk.context import request_context
from bentoml.sdk.dependency import Dependency, LocalServices


@bentoml.service(threads=2)
class Inner:
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.note = "a note"
        self.token = object()
        self.running = self.most = 0

    @bentoml.api
    def sync(self, text: str) -> str:
        return f"{text} {threading.current_thread() is threading.main_thread()}"

    @bentoml.api
    async def aio(self, text: str) -> str:
        await asyncio.sleep(0)
        return text

    @bentoml.api
    async def letters(self, text: str) -> AsyncGenerator[str, None]:
        for letter in text:
            yield letter

    @bentoml.api
    def numbers(self, n: int) -> Generator[int, None, None]:
        yield from range(n)

    @bentoml.api
    def fail(self) -> str:
        raise KeyError("its own error")

    @bentoml.api
    def who(self, context: bentoml.Context, text: str) -> str:
        return f"{context.state['who']} {text}"

    @bentoml.api
    def slow(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        time.sleep(0.01)
        self.running -= 1


@bentoml.service
class Left:
    inner = bentoml.depends(Inner)


@bentoml.service
class Outer:
    inner = bentoml.depends(Inner)
    left = bentoml.depends(Left)

    @bentoml.api
    async def own(self, text: str) -> str:
        return text


def test_a_sync_method_blocks_and_an_async_one_is_awaited() -> None:
    async def calls(outer: Any) -> list[Any]:
        return [
            outer.inner.sync("a"),
            await outer.inner.aio("b"),
            await outer.inner.to_async.sync("c"),
            await outer.inner.to_async.aio("d"),
            [x async for x in outer.inner.letters("ef")],
            list(outer.inner.numbers(2)),
            [x async for x in outer.inner.to_async.numbers(2)],
            outer.inner.to_sync.sync("g"),
            outer.inner.to_sync.aio("h"),
            list(outer.inner.to_sync.letters("ij")),
        ]

    assert asyncio.run(calls(Outer())) == [
        "a True", "b", "c False", "d", ["e", "f"], [0, 1], [0, 1], "g True", "h", ["i", "j"],
    ]  # fmt: skip


def test_to_sync_without_a_loop() -> None:
    outer: Any = Outer()
    assert outer.inner.to_sync.aio("x") == "x"
    assert list(outer.inner.to_sync.letters("ab")) == ["a", "b"]


def test_to_sync_runs_on_the_loop_in_which_the_service_was_made() -> None:
    @bentoml.service
    class Where:
        @bentoml.api
        async def where(self) -> int:
            return id(asyncio.get_running_loop())

    @bentoml.service
    class Asks:
        where = bentoml.depends(Where)

        @bentoml.api
        def ask(self) -> int:
            return int(self.where.to_sync.where())

    async def main() -> bool:
        asks = Asks()
        return await asyncio.to_thread(asks.ask) == id(asyncio.get_running_loop())

    assert asyncio.run(main())


def test_services_share_an_instance_of_what_they_share() -> None:
    of(Inner).inner.made = 0
    outer: Any = Outer()
    assert outer.inner.token is outer.left.inner.token
    assert of(Inner).inner.made == 1
    other: Any = Outer()
    assert other.inner.token is not outer.inner.token


def test_instances_are_made_once_by_threads_that_race() -> None:
    @bentoml.service
    class Slow:
        made: list[int] = []  # noqa: RUF012  # shared on purpose

        def __init__(self) -> None:
            time.sleep(0.01)
            self.made.append(1)

    user: Any = bentoml.service(type("User", (), {"slow": bentoml.depends(Slow)}))()
    threads = [threading.Thread(target=lambda: user.slow.made) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(user.slow.made) == 1


def test_dependencies_are_there_while_the_service_is_made() -> None:
    @bentoml.service
    class Eager:
        inner = bentoml.depends(Inner)

        def __init__(self) -> None:
            self.first = self.inner.sync("x")

    assert Eager().first == "x True"


def test_a_class_made_without_its_service() -> None:
    plain = of(Outer).inner
    assert plain().inner.sync("x") == "x True"


def test_keywords_that_a_method_does_not_declare_are_dropped() -> None:
    async def call(outer: Any) -> str:
        return str(await outer.inner.to_async.aio("x", max_length=1))

    outer: Any = Outer()
    assert outer.inner.sync("x", max_length=128) == "x True"
    assert outer.inner.to_sync.aio("x", max_length=128) == "x"
    assert asyncio.run(call(outer)) == "x"
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        outer.inner.sync(max_length=128)


def test_errors_come_through_as_they_are() -> None:
    async def call(outer: Any) -> None:
        await outer.inner.to_async.fail()

    outer: Any = Outer()
    with pytest.raises(KeyError, match="its own error"):
        outer.inner.fail()
    with pytest.raises(KeyError, match="its own error"):
        asyncio.run(call(outer))


def test_what_is_no_api() -> None:
    outer: Any = Outer()
    assert outer.inner.note == "a note"
    with pytest.raises(AttributeError, match="nothing"):
        _ = outer.inner.nothing
    with pytest.raises(AttributeError, match="service `Inner` has no API `note`; it has `aio`, `fail`"):
        _ = outer.inner.to_async.note


def test_the_context_of_the_request_goes_along() -> None:
    async def call(outer: Any) -> list[str]:
        request_context.set(bentoml.Context(lambda: pytest.fail("not needed"), state={"who": "me"}))
        return [outer.inner.who("x"), await outer.inner.to_async.who("x"), outer.inner.to_sync.who(text="x")]

    assert asyncio.run(call(Outer())) == ["me x"] * 3


def test_a_dependency_says_nothing_about_the_response_of_its_caller() -> None:
    @bentoml.service
    class Says:
        @bentoml.api
        def say(self, ctx: bentoml.Context) -> str:
            ctx.response.status_code = 202
            return ctx.temp_dir

    user: Any = bentoml.service(type("User", (), {"says": bentoml.depends(Says)}))()
    context = bentoml.Context(lambda: pytest.fail("not needed"))
    token = request_context.set(context)
    try:
        assert user.says.say() == context.temp_dir
        assert context.response.status_code == 200
        assert Says().say() == context.temp_dir  # type: ignore[call-arg]  # the context is filled in
        assert context.response.status_code == 202
    finally:
        request_context.reset(token)


def test_as_many_threads_as_the_dependency_allows() -> None:
    async def call(outer: Any) -> int:
        await asyncio.gather(*(outer.inner.to_async.slow() for _ in range(6)))
        return int(outer.inner.most)

    assert asyncio.run(call(Outer())) == 2


def test_a_caller_that_gives_up_goes_on_and_the_thread_keeps_its_place() -> None:
    entered, release, ran = threading.Event(), threading.Event(), []

    @bentoml.service(threads=1)
    class Slow:
        @bentoml.api
        def wait(self) -> None:
            ran.append("first")
            entered.set()
            release.wait(60)
            ran.append("end of first")

        @bentoml.api
        def quick(self) -> None:
            ran.append("second")

    async def call(user: Any) -> None:
        waiting = asyncio.ensure_future(user.slow.to_async.wait())
        assert await asyncio.to_thread(entered.wait, 60)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        second = asyncio.create_task(user.slow.to_async.quick())
        await asyncio.sleep(0.01)
        assert ran == ["first"]
        release.set()
        await second

    asyncio.run(call(bentoml.service(type("User", (), {"slow": bentoml.depends(Slow)}))()))
    assert ran == ["first", "end of first", "second"]


def test_a_stream_that_is_left_early_is_closed() -> None:
    closed = []

    @bentoml.service
    class Streams:
        @bentoml.api
        def numbers(self) -> Generator[int, None, None]:
            try:
                yield from range(100)
            finally:
                closed.append("sync")

        @bentoml.api
        async def letters(self) -> AsyncGenerator[str, None]:
            try:
                yield "a"
                yield "b"
            finally:
                closed.append("async")

    async def call(user: Any) -> None:
        numbers = user.streams.to_async.numbers()
        assert await anext(numbers) == 0
        await numbers.aclose()

    user: Any = bentoml.service(type("User", (), {"streams": bentoml.depends(Streams)}))()
    asyncio.run(call(user))
    letters = user.streams.to_sync.letters()
    assert next(letters) == "a"
    letters.close()
    assert closed == ["sync", "async"]


def test_a_service_calls_itself() -> None:
    outer: Any = Outer()
    assert outer.to_sync.own("x") == "x"
    inner: Any = Inner()
    assert asyncio.run(inner.to_async.sync("x")) == "x False"


def test_start_makes_everything() -> None:
    resolver = LocalServices()
    outer = resolver.start(of(Outer))
    assert list(resolver.instances) == ["Inner", "Left"]
    assert type(outer).__name__ == "Outer"


def test_what_depends_refuses() -> None:
    with pytest.raises(ValueError, match="needs a service"):
        bentoml.depends()
    with pytest.raises(TypeError, match=r"decorated with @bentoml.service"):
        bentoml.depends(dict)
    dependency: Dependency[Any] = bentoml.depends(Inner)
    with pytest.raises(AttributeError, match="Dependency must be accessed as a class attribute"):
        _ = dependency.sync
    with pytest.raises(ValueError, match="such as `http://host:3000`, not `host:3000`"):
        bentoml.depends(url="host:3000")


@pytest.mark.parametrize("more", [{}, {"url": "http://127.0.0.1:1"}, {"on": Inner}])
def test_a_deployment_says_what_to_do_instead(more: dict[str, Any]) -> None:
    user: Any = bentoml.service(type("User", (), {"far": bentoml.depends(deployment="d", **more)}))()
    with pytest.raises(BentoMLException, match=r"deployment `d`: .* give its address"):
        _ = user.far


def test_a_circle_is_refused() -> None:
    first: Any = bentoml.service(type("First", (), {}))
    second: Any = bentoml.service(type("Second", (), {"first": bentoml.depends(first)}))
    first.dependencies["second"] = bentoml.depends(second)
    with pytest.raises(BentoMLConfigException, match="in a circle: First -> Second -> First"):
        LocalServices().start(first)
