"""Steps of async iterators: together where they are ready, at once before a wait, and cancelled as if nobody stood between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

import pytest

from bentoml.runtime.steps import AsyncSteps


def encode(value: object) -> bytes:
    if value == "bad":
        raise ValueError("cannot be encoded")
    return str(value).encode()


async def numbers(n: int, *, wait_before: int = -1, fail_at: int = -1) -> AsyncGenerator[int, None]:
    for i in range(n):
        if i == wait_before:
            await asyncio.sleep(0.001)
        if i == fail_at:
            raise ValueError("the iterator failed")
        yield i


async def messages(steps: AsyncSteps, most: int = 64, size: int = 1000) -> list[list[bytes]]:
    found = []
    while chunks := await steps.ready(most, size):
        found.append(chunks)
    return found


def test_what_is_ready_comes_together() -> None:
    async def main() -> list[list[bytes]]:
        return await messages(AsyncSteps(numbers(3), encode))

    assert asyncio.run(main()) == [[b"0", b"1", b"2"]]


def test_what_is_ready_is_there_before_a_wait() -> None:
    async def main() -> None:
        steps = AsyncSteps(numbers(4, wait_before=2), encode)
        assert await steps.ready(64, 1000) == [b"0", b"1"]
        assert steps.is_waiting
        assert await steps.ready(64, 1000) == [b"2", b"3"]
        assert await steps.ready(64, 1000) == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("most", "size", "expected"), [(2, 1000, [2, 2, 1]), (64, 3, [3, 2]), (1, 1, [1] * 5)]
)
def test_no_more_than_wanted(most: int, size: int, expected: list[int]) -> None:
    async def main() -> list[int]:
        return [len(chunks) for chunks in await messages(AsyncSteps(numbers(5), encode), most, size)]

    assert asyncio.run(main()) == expected


def test_an_error_comes_after_the_values_before_it() -> None:
    async def main() -> None:
        steps = AsyncSteps(numbers(5, fail_at=2), encode)
        assert await steps.ready(64, 1000) == [b"0", b"1"]
        with pytest.raises(ValueError, match="the iterator failed"):
            await steps.ready(64, 1000)

    asyncio.run(main())


def test_an_error_of_the_encoding_comes_after_the_values_before_it() -> None:
    async def values() -> AsyncGenerator[str, None]:
        yield "good"
        yield "bad"

    async def main() -> None:
        steps = AsyncSteps(values(), encode)
        assert await steps.ready(64, 1000) == [b"good"]
        with pytest.raises(ValueError, match="cannot be encoded") as caught:
            await steps.ready(64, 1000)
        assert caught.value.__context__ is None
        await steps.close()

    asyncio.run(main())


class Countdown:
    """An iterator that is no generator, and whose steps are futures."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    def __anext__(self) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.n -= 1
        if self.n < 0:
            future.set_exception(StopAsyncIteration())
        else:
            asyncio.get_running_loop().call_soon(future.set_result, self.n)
        return future


def test_iterators_that_are_no_generators() -> None:
    async def main() -> list[list[bytes]]:
        steps = AsyncSteps(Countdown(3), encode)
        found = await messages(steps)
        await steps.close()
        return found

    assert asyncio.run(main()) == [[b"2"], [b"1"], [b"0"]]


def test_a_cancellation_reaches_the_iterator() -> None:
    caught: list[str] = []

    async def values() -> AsyncGenerator[str, None]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            caught.append("cancelled")
            await asyncio.sleep(0.001)
        yield "last words"

    async def main() -> list[bytes]:
        steps = AsyncSteps(values(), encode)
        task = asyncio.ensure_future(steps.ready(64, 1000))
        await asyncio.sleep(0.01)
        task.cancel()
        found = await task
        await steps.close()
        return found

    assert asyncio.run(main()) == [b"last words"]
    assert caught == ["cancelled"]


@pytest.mark.parametrize("awaited", ["sleep", "task", "turn"])
def test_closing_ends_an_iterator_that_waits(awaited: str) -> None:
    """The first value was handed over, and the iterator has gone on to its next wait by then."""
    ended: list[str] = []

    async def inner() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("inner")
            raise

    async def values() -> AsyncGenerator[str, None]:
        try:
            yield "a"
            if awaited == "task":
                await asyncio.ensure_future(inner())
            await asyncio.sleep(60 if awaited == "sleep" else 0)
            yield "b"
        finally:
            await asyncio.sleep(0.001)
            ended.append("values")

    async def main() -> None:
        steps = AsyncSteps(values(), encode)
        assert await steps.ready(64, 1000) == [b"a"]
        if awaited == "task":
            await asyncio.sleep(0.001)  # for the inner one to begin
        await asyncio.wait_for(steps.close(), 60)

    asyncio.run(main())
    assert ended == (["inner", "values"] if awaited == "task" else ["values"])


def test_an_error_while_cleaning_up_is_not_hidden() -> None:
    async def values() -> AsyncGenerator[str, None]:
        try:
            yield "a"
            await asyncio.sleep(60)
        finally:
            raise ValueError("could not clean up")

    async def main() -> None:
        steps = AsyncSteps(values(), encode)
        await steps.ready(64, 1000)
        with pytest.raises(ValueError, match="could not clean up"):
            await steps.close()

    asyncio.run(main())


def test_the_loop_may_end_while_an_iterator_waits() -> None:
    async def main() -> None:
        steps = AsyncSteps(numbers(2, wait_before=1), encode)
        await steps.ready(64, 1000)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)

    asyncio.run(main())
