"""How slowly bytes may come."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bentoml.exceptions import ServiceUnavailable
from bentoml.registry.pace import Pace

PACE = Pace(least=100, seconds=10.0)


class Clock:
    """A clock that goes on when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pieces(self, *pieces: tuple[float, int]) -> Iterator[bytes]:
        """Yield as many bytes after as many seconds."""
        for seconds, count in pieces:
            self.now += seconds
            yield bytes(count)


def taken(*pieces: tuple[float, int], meanwhile: Callable[[Clock], None] = lambda _: None) -> int:
    clock, count = Clock(), 0
    for chunk in PACE.held(clock.pieces(*pieces), "reg", clock):
        count += len(chunk)
        meanwhile(clock)
    return count


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        ([], 0),
        ([(9, 1)], 1),
        ([(5, 50), (5, 50)] * 20, 2000),
        ([(9, 1), (9, 100)] * 20, 2020),
        ([(0, 1)] * 50, 50),
        ([(0, 10_000), (9, 1)], 10_001),
    ],
    ids=["nothing", "one", "as fast as it has to be", "in bursts", "at once", "a slow end"],
)
def test_what_comes_is_yielded(pieces: list[tuple[float, int]], count: int) -> None:
    assert taken(*pieces) == count


@pytest.mark.parametrize(
    "pieces",
    [[(9, 1)] * 3, [(0, 10_000), *[(10, 1)] * 3], [(0.1, 0)] * 1000, [(11, 99)]],
    ids=["from the start", "after much", "nothing at all", "a little"],
)
def test_what_hardly_comes_is_not_waited_for(pieces: list[tuple[float, int]]) -> None:
    with pytest.raises(ServiceUnavailable, match=r"`reg` is too slow: only .* bytes came in 1"):
        taken(*pieces)


def test_who_takes_them_may_take_his_time() -> None:
    def write(clock: Clock) -> None:
        clock.now += 100

    assert taken(*[(0.1, 1)] * 50, meanwhile=write) == 50
