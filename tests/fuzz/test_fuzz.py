"""A short pass of the fuzz targets; `scripts/fuzz` runs them for longer, guided by coverage."""

from __future__ import annotations

import random

import pytest
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS

_ROUNDS = 60


@pytest.mark.filterwarnings("ignore::Warning:PIL")
@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes(name: str) -> None:
    target = TARGETS[name]
    dice = random.Random(name)  # the same bytes in every run
    for seed in target.seeds:
        target.run(seed)
    for _ in range(_ROUNDS):
        data = mutated(dice.choice(target.seeds), dice)
        try:
            target.run(data)
        except Exception as e:  # whatever it is, these bytes are what is to be known
            pytest.fail(f"{type(e).__name__}: {e} from {data!r}")


@pytest.mark.parametrize("name", TARGETS)
def test_bytes_without_a_meaning(name: str) -> None:
    for data in (
        b"",
        b"\0",
        b"\xff" * 50,
        b"[" * 5000,
        b'{"a":' * 5000,
        b"-" * 5000,
        b"--B\r\n" * 50,
        bytes(range(256)),
    ):
        TARGETS[name].run(data)
