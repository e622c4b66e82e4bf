"""The typed example runs as it is; `mypy --strict` reads it with the rest of the tests."""

from __future__ import annotations

import asyncio

from tests.typing import example_client


def test_the_typed_example_runs() -> None:
    assert example_client.both() == ["a l", "a l", "3"]
    assert asyncio.run(example_client.aboth()) == ["a l", "3"]
