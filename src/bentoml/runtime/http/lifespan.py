"""The lifespan of an ASGI application, driven so that its own error comes out instead of a line in a log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from ...exceptions import BentoMLException

__all__ = ["ASGIApp", "running"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[None]:
    """Start an application, run the block and shut the application down (ASGI specification 3, "Lifespan").

    What the application raises while it starts or shuts down is raised here.
    """
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope: Message = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    task = asyncio.create_task(_call(app, scope, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    await _answer(task, from_app, "lifespan.startup")
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await _answer(task, from_app, "lifespan.shutdown")
        await task


async def _call(app: ASGIApp, scope: Message, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


async def _answer(task: asyncio.Task[None], from_app: asyncio.Queue[Message], step: str) -> None:
    """Wait for the application's answer, or for its end, whichever comes first."""
    answer = asyncio.create_task(from_app.get())
    both: set[asyncio.Task[Any]] = {task, answer}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        task.result()
        raise BentoMLException(f"the application ended during `{step}` without an answer")
    message = answer.result()
    if message["type"] == f"{step}.failed":
        await task  # most raise their error after that message
        raise BentoMLException(message.get("message") or f"the application failed during `{step}`")
