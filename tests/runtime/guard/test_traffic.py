"""The limit of requests at once, and one timer for all timeouts."""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter

from bentoml.runtime.guard.traffic import Traffic


class Request:
    def __init__(self) -> None:
        self.started = perf_counter()
        self.expired_after: float | None = None

    def expire(self) -> None:
        assert self.expired_after is None
        self.expired_after = perf_counter() - self.started


def test_each_request_that_waits_too_long_expires_and_no_other() -> None:
    async def main() -> None:
        traffic = Traffic(timeout=0.05, limit=None, loop=asyncio.get_running_loop())
        requests = [Request()]
        traffic.enter(requests[0])
        await asyncio.sleep(0.02)
        for _ in range(3):
            requests.append(Request())
            traffic.enter(requests[-1])
        traffic.begun(requests[2])
        traffic.leave(requests[3])
        await asyncio.sleep(0.1)
        first, second, streaming, over = requests
        for late in (first, second):
            assert late.expired_after is not None
            assert 0.049 < late.expired_after < 30
        assert streaming.expired_after is None
        assert over.expired_after is None
        again = Request()  # the timer starts again after a time without requests
        traffic.enter(again)
        await asyncio.sleep(0.1)
        assert again.expired_after is not None
        traffic.close()

    asyncio.run(main())


def test_the_limit() -> None:
    async def main() -> None:
        traffic = Traffic(timeout=1, limit=2, loop=asyncio.get_running_loop())
        requests = [Request(), Request()]
        full = []
        for step in (*(partial(traffic.enter, r) for r in requests), partial(traffic.begun, requests[0]),
                     partial(traffic.leave, requests[0])):  # fmt: skip
            full.append(traffic.count >= traffic.limit)
            step()
        assert [*full, traffic.count >= traffic.limit] == [False, False, True, True, False]
        traffic.close()

    asyncio.run(main())
