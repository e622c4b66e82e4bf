"""The chunks of an API that is a generator, sent as they come; the generator is closed when the client goes away."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

from starlette.types import Message

from ..sdk.values.together import together
from .call import Call, Receive, Send
from .steps import AsyncSteps
from .threads import WorkerThreads

__all__ = ["AsyncChunks", "Chunks", "ThreadChunks", "error_event", "send_chunks", "watch"]

_TURN = 64  # steps of an async generator that never waits, until others get their turn
_AHEAD = 64 * 1024  # bytes that a generator may be ahead of the client
_SLICE = 0.01  # seconds that a sync generator keeps its thread while other requests wait for one


class Chunks(Protocol):
    """The encoded steps of one generator; ``last`` are the bytes that were sent last."""

    last: bytes

    async def first(self) -> bytes | None:
        """Run to the first step; None is a stream without any. An error here is still an ordinary error."""

    async def send_rest(self, call: Call, send: Send) -> None:
        """Send each later step as it comes, while the client is there."""

    async def close(self) -> None:
        """End the generator, wherever it is, and wait for its end."""

    def abandon(self, when_ended: Callable[[], None]) -> bool:
        """End the generator without waiting; return whether it is still running, until ``when_ended`` is called."""


def watch(call: Call, receive: Receive) -> asyncio.Task[None]:
    """Cancel the task of a call when its client disconnects, as nobody reads the rest; end this with the stream."""
    return call.server.loop.create_task(_watch(call, receive))


async def _watch(call: Call, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    call.gone = True
    if call.task is not None:
        call.task.cancel()


async def send_chunks(head: Message, first: bytes | None, chunks: Chunks, call: Call, send: Send) -> None:
    """Send all of a stream, or as much of it as the client stays for; then let the generator clean up."""
    try:
        await send(head)
        if first is not None:
            await send({"type": "http.response.body", "body": first, "more_body": True})
            await chunks.send_rest(call, send)
        if not call.gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except asyncio.CancelledError:
        if not call.gone or call.task is None:
            raise
        call.task.uncancel()
    finally:
        await chunks.close()


def error_event(error: bytes, status: int, last: bytes) -> bytes:
    """Return the event that ends a stream of events that failed; ``error`` is the body that its caller would have got.

    A client takes it off the stream and raises the error (docs/ARCHITECTURE.md, "Services and clients, complete").
    """
    message = json.loads(error)["error"]
    separator = b"" if last.endswith(b"\n\n") else b"\n\n"
    data = json.dumps({"error": message, "status": status}).encode()
    return b"%bevent: error\ndata: %b\n\n" % (separator, data)


class AsyncChunks:
    """The steps of an async generator, on the event loop; what is ready leaves together."""

    def __init__(self, steps: AsyncIterator[Any], encode: Callable[[Any], bytes]) -> None:
        self._steps = AsyncSteps(steps, encode)
        self.last = b""

    async def first(self) -> bytes | None:
        """Run to the first step."""
        chunks = await self._steps.ready(1, 1)
        self.last = b"".join(chunks)
        return self.last if chunks else None

    async def send_rest(self, call: Call, send: Send) -> None:
        """Send what is ready, in one message, before the generator waits."""
        while chunks := await self._steps.ready(_TURN, _AHEAD):
            if call.gone:  # and the generator has caught its cancellation
                return
            self.last = together(chunks)
            await send({"type": "http.response.body", "body": self.last, "more_body": True})
            if not self._steps.is_waiting:
                await asyncio.sleep(0)

    def abandon(self, when_ended: Callable[[], None]) -> bool:
        """Do nothing: the cancellation has ended the generator."""
        return False

    async def close(self) -> None:
        """Let the generator clean up."""
        await self._steps.close()


class ThreadChunks:
    """The steps of a sync generator, made in a worker thread that runs ahead of the event loop.

    What is ready leaves together. The thread stops when it is too far ahead, and steps aside now and then while other
    requests wait for a thread, so that one stream never holds up the rest; it is taken up again where it stopped.
    """

    def __init__(
        self,
        steps: Iterator[Any],
        encode: Callable[[Any], bytes],
        threads: WorkerThreads,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._steps = steps
        self._encode = encode
        self._threads = threads
        self._loop = loop
        self.last = b""
        self._ready: deque[bytes] = deque()
        self._made = 0  # bytes, counted by the thread
        self._taken = 0  # bytes, counted by the loop
        self._woken = False
        self._waiter: asyncio.Future[None] | None = None
        self._running = False
        self._closed = False
        self._ended = False
        self._error: BaseException | None = None
        self._when_ended: Callable[[], None] | None = None

    async def first(self) -> bytes | None:
        """Run to the first step; those that are ready with it come along."""
        return await self._take()

    async def send_rest(self, call: Call, send: Send) -> None:
        """Send what is ready, in one message, each time that something is."""
        while not call.gone and (ready := await self._take()) is not None:
            await send({"type": "http.response.body", "body": ready, "more_body": True})

    async def close(self) -> None:
        """Let the generator clean up, in a thread, after the step that it may be in."""
        self._closed = True
        while not self._ended:
            await self._progress()

    def abandon(self, when_ended: Callable[[], None]) -> bool:
        """Close the generator, in a thread, without waiting for it."""
        self._closed = True
        self._when_ended = when_ended
        if not self._running:
            self._resume()
        return True

    async def _take(self) -> bytes | None:
        while not self._ready:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            await self._progress()
        ready = self._ready
        data = together([ready.popleft() for _ in range(len(ready))])
        self._taken += len(data)
        self.last = data
        return data

    async def _progress(self) -> None:
        if not self._running:
            self._resume()
        self._waiter = self._loop.create_future()
        await self._waiter

    def _resume(self) -> None:
        self._running = True
        self._threads.submit(self._run).add_done_callback(self._paused)

    def _run(self) -> bool:
        """Take steps, in a thread; return whether the generator has ended."""
        ended = True
        try:
            ended = self._advance(time.monotonic() + _SLICE)
        finally:
            if ended and inspect.isgenerator(self._steps):
                self._steps.close()
        return ended

    def _advance(self, until: float) -> bool:
        encode, add, threads = self._encode, self._ready.append, self._threads
        for step in () if self._closed else self._steps:
            chunk = encode(step)
            add(chunk)
            self._made = made = self._made + len(chunk)
            if not self._woken:
                self._woken = True
                self._loop.call_soon_threadsafe(self._wake)
            if self._closed:
                break
            if made - self._taken > _AHEAD or (threads.waiting and time.monotonic() > until):
                return False
        return True

    def _wake(self) -> None:
        self._woken = False  # before anyone looks: a chunk that comes later wakes again
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _paused(self, run: asyncio.Future[bool]) -> None:
        self._running = False
        self._error = run.exception()
        self._ended = self._error is not None or run.result()
        self._wake()
        if self._ended and self._when_ended is not None:
            self._when_ended()
