"""One timer for many deadlines."""

from __future__ import annotations

import asyncio

from tests.runtime.instant import run_instantly

from bentoml.runtime.http.deadlines import Deadlines

NEVER = float("inf")


class Thing:
    def __init__(self, deadline: float, *, fails: bool = False) -> None:
        self.deadline = deadline
        self.expired = 0
        self._fails = fails

    def expire(self) -> None:
        self.expired += 1
        self.deadline = NEVER
        if self._fails:
            raise RuntimeError("cannot")


def watched(*things: Thing, seconds: float = 0.2) -> list[str]:
    """Watch over things for a while; return what went wrong meanwhile."""
    errors: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(str(context.get("exception"))))
        deadlines = Deadlines(0.1)
        for thing in things:
            deadlines.add(thing, loop)
        await asyncio.sleep(seconds)
        for thing in things:
            deadlines.remove(thing)

    run_instantly(main())
    return errors


def test_what_is_late_expires_once_and_what_has_time_does_not() -> None:
    late, timely = Thing(0.0), Thing(NEVER)
    assert watched(late, timely) == []
    assert (late.expired, timely.expired) == (1, 0)


def test_one_that_fails_does_not_end_the_watch_over_the_others() -> None:
    failing = [Thing(0.0, fails=True) for _ in range(3)]
    late = [Thing(0.0) for _ in range(3)]
    assert watched(*failing, *late, seconds=0.4) == ["cannot"] * 3
    assert [thing.expired for thing in (*failing, *late)] == [1] * 6
