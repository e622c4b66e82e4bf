"""Worker threads: bounds, order, errors, context, and results that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import pytest

from bentoml.runtime.threads import WorkerThreads

variable: ContextVar[str] = ContextVar("variable", default="outside")


def with_threads(count: int, work: Callable[[WorkerThreads], Awaitable[None]]) -> None:
    async def main() -> None:
        threads = WorkerThreads(count, asyncio.get_running_loop())
        try:
            await asyncio.wait_for(work(threads), 100)
        finally:
            threads.close()

    asyncio.run(main())


def test_results_and_order_in_one_thread() -> None:
    seen: list[int] = []

    def double(i: int) -> int:
        seen.append(i)
        return i * 2

    async def work(threads: WorkerThreads) -> None:
        futures = [threads.submit(double, i) for i in range(200)]
        assert await asyncio.gather(*futures) == [i * 2 for i in range(200)]

    with_threads(1, work)
    assert seen == list(range(200))


def test_an_idle_thread_keeps_nothing_of_its_last_job() -> None:
    class Body:
        """What a request brought."""

    def fail(_: Body) -> None:
        raise ValueError

    async def work(threads: WorkerThreads) -> None:
        given = Body()
        left = [weakref.ref(given), weakref.ref(await threads.submit(lambda _: Body(), given))]
        with pytest.raises(ValueError):
            await threads.submit(fail, failed := Body())
        left.append(weakref.ref(failed))
        del given, failed
        end = time.monotonic() + 30
        while any(ref() for ref in left):
            assert time.monotonic() < end
            await asyncio.sleep(0.005)

    with_threads(1, work)


def test_as_many_at_once_as_there_are_threads() -> None:
    lock = threading.Lock()
    running, most, names = 0, 0, set()
    together = threading.Barrier(3)

    def job() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            names.add(threading.current_thread().name)
        together.wait(60)
        with lock:
            running -= 1

    async def work(threads: WorkerThreads) -> None:
        await asyncio.gather(*(threads.submit(job) for _ in range(9)))

    with_threads(3, work)
    assert most == 3
    assert len(names) == 3


def test_threads_start_only_when_they_are_needed() -> None:
    async def work(threads: WorkerThreads) -> None:
        names = [await threads.submit(lambda: threading.current_thread().name) for _ in range(5)]
        assert len(set(names)) == 1

    with_threads(8, work)


@pytest.mark.parametrize(
    ("error", "raised"),
    [(KeyError("x"), KeyError), (StopIteration(1), RuntimeError), (SystemExit(1), RuntimeError)],
    ids=["ordinary", "StopIteration", "SystemExit"],
)
def test_errors(error: BaseException, raised: type[Exception]) -> None:
    def fail() -> None:
        raise error

    async def work(threads: WorkerThreads) -> None:
        with pytest.raises(raised) as info:
            await threads.submit(fail)
        assert error in (info.value, info.value.__cause__)
        assert await threads.submit(lambda: 1) == 1

    with_threads(1, work)


def test_context_variables_of_the_caller() -> None:
    async def work(threads: WorkerThreads) -> None:
        variable.set("inside")
        assert await threads.submit(variable.get) == "inside"

    with_threads(1, work)


def test_a_cancelled_job_that_waits_never_runs_and_one_that_runs_is_reported_at_its_end() -> None:
    entered, release = threading.Event(), threading.Event()
    seen: list[str] = []

    def hold() -> None:
        entered.set()
        release.wait(60)

    async def work(threads: WorkerThreads) -> None:
        first = threads.submit(hold, abandoned=lambda: seen.append("first over"))
        second = threads.submit(lambda: seen.append("ran"), abandoned=lambda: seen.append("second over"))
        assert entered.wait(60)
        assert threads.waiting
        first.cancel()
        second.cancel()
        await asyncio.sleep(0.01)
        assert seen == []
        release.set()
        await threads.submit(lambda: None)
        assert not threads.waiting

    with_threads(1, work)
    assert seen == ["first over", "second over"]
