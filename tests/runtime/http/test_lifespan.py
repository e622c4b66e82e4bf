"""The lifespan of an application: its own errors come out."""

from __future__ import annotations

import asyncio

import pytest

from bentoml.exceptions import BentoMLException
from bentoml.runtime.http.lifespan import Message, Receive, Send, running

Steps = list[str]


def live(steps: Steps, *, fail: str = "", say: str = "", silent: bool = False) -> None:
    """Run an application that notes its steps; it fails at a step by an exception, or after a message of failure."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        for step in ("startup", "shutdown"):
            message = await receive()
            assert message["type"] == f"lifespan.{step}"
            steps.append(step)
            if silent:
                return
            if say == step:
                await send({"type": f"lifespan.{step}.failed", "message": f"no {step}"})
                return
            if fail == step:
                raise ZeroDivisionError(step)
            await send({"type": f"lifespan.{step}.complete"})

    async def main() -> None:
        async with running(app):
            steps.append("block")

    asyncio.run(main())


def test_in_order() -> None:
    steps: Steps = []
    live(steps)
    assert steps == ["startup", "block", "shutdown"]


@pytest.mark.parametrize("step", ["startup", "shutdown"])
def test_an_error_is_raised_as_it_is(step: str) -> None:
    steps: Steps = []
    with pytest.raises(ZeroDivisionError, match=step):
        live(steps, fail=step)
    assert ("block" in steps) == (step == "shutdown")


@pytest.mark.parametrize("step", ["startup", "shutdown"])
def test_a_failure_that_is_only_told(step: str) -> None:
    with pytest.raises(BentoMLException, match=f"no {step}"):
        live([], say=step)


def test_an_application_that_says_nothing() -> None:
    steps: Steps = []
    with pytest.raises(BentoMLException, match=r"ended during `lifespan\.startup` without an answer"):
        live(steps, silent=True)
    assert steps == ["startup"]
