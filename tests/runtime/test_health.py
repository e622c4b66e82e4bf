"""Health: checks that hang or fail, and what is asked at all."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

import bentoml
from bentoml.runtime.health import Health


def health(check: Any, name: str = "__is_ready__", patience: float = 60) -> Health:
    service: Any = bentoml.service(type("Checked", (), {name: check}))
    return Health(service, service(), patience=patience)


def test_a_check_that_hangs_is_a_no_and_runs_once(caplog: pytest.LogCaptureFixture) -> None:
    entered, go_on = threading.Event(), threading.Event()
    calls = []

    def check(self: Any) -> bool:
        calls.append(1)
        entered.set()
        return go_on.wait(100)

    async def ask() -> None:
        hanging = health(check, patience=0.05)
        for _ in range(3):
            status, _, body = await hanging.ready()
            assert status == 503
            assert body.endswith(b"does not answer within 0.05 seconds.")
            assert entered.wait(60)
        assert len(calls) == 1
        go_on.set()
        async with asyncio.timeout(60):
            while (await hanging.ready())[0] != 200:
                pass

    began = time.monotonic()
    asyncio.run(ask())
    assert time.monotonic() - began < 90
    assert "`Checked.__is_ready__` has not answered" in caplog.text


@pytest.mark.parametrize("is_async", [True, False])
def test_a_check_that_fails_is_a_no_and_in_the_log(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def asynchronous(self: Any) -> bool:
        raise ValueError("secret")

    def blocking(self: Any) -> bool:
        raise ValueError("secret")

    one = health(asynchronous if is_async else blocking, "__is_alive__")
    status, _, body = asyncio.run(one.alive())
    assert (status, body) == (503, b"Service is dead because .__is_alive__() failed.")
    assert "ValueError: secret" in caplog.text


def test_checks_that_are_not_there() -> None:
    one = health(lambda self: True, "other")
    assert asyncio.run(one.alive())[0] == asyncio.run(one.ready())[0] == 200
