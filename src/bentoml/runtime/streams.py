"""The chunks of an API that is a generator, sent as they come; the generator is closed when the client goes away."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

from .call import Call, Receive, Send
from .threads import WorkerThreads

__all__ = ["AsyncChunks", "Chunks", "ThreadChunks", "send_chunks"]

_AHEAD = 64 * 1024  # bytes that a sync generator may be ahead of the client
_SLICE = 0.01  # seconds that a sync generator keeps its thread while other requests wait for one


class Chunks(Protocol):
    """The encoded steps of one generator."""

    async def first(self) -> bytes | None:
        """Run to the first step; None is a stream without any. An error here is still an ordinary error."""

    async def send_rest(self, send: Send) -> None:
        """Send each later step as it comes."""

    async def close(self) -> None:
        """End the generator, wherever it is, and wait for its end."""

    def abandon(self, when_ended: Callable[[], None]) -> bool:
        """End the generator without waiting; return whether it is still running, until ``when_ended`` is called."""


async def send_chunks(first: bytes | None, chunks: Chunks, call: Call, receive: Receive, send: Send) -> None:
    """Send all of a stream, or as much of it as the client stays for."""
    task = asyncio.current_task()
    gone = _Gone(task)
    watcher = call.server.loop.create_task(gone.watch(receive))
    try:
        if first is not None:
            await send({"type": "http.response.body", "body": first, "more_body": True})
            await chunks.send_rest(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except asyncio.CancelledError:
        if not gone.is_gone or task is None:
            raise
        task.uncancel()
    finally:
        watcher.cancel()
        await chunks.close()


class _Gone:
    """Cancel the task that sends a stream when its client disconnects, as nobody reads the rest."""

    def __init__(self, task: asyncio.Task[Any] | None) -> None:
        self._task = task
        self.is_gone = False

    async def watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.is_gone = True
        if self._task is not None:
            self._task.cancel()


class AsyncChunks:
    """The steps of an async generator, on the event loop."""

    def __init__(self, steps: AsyncIterator[Any], encode: Callable[[Any], bytes]) -> None:
        self._steps = steps
        self._encode = encode

    async def first(self) -> bytes | None:
        """Run to the first step."""
        async for step in self._steps:
            return self._encode(step)
        return None

    async def send_rest(self, send: Send) -> None:
        """Send each step in a message of its own."""
        encode = self._encode
        async for step in self._steps:
            await send({"type": "http.response.body", "body": encode(step), "more_body": True})

    def abandon(self, when_ended: Callable[[], None]) -> bool:
        """Do nothing: the cancellation has ended the generator."""
        return False

    async def close(self) -> None:
        """Let the generator clean up."""
        if inspect.isasyncgen(self._steps):
            await self._steps.aclose()


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

    async def send_rest(self, send: Send) -> None:
        """Send what is ready, in one message, each time that something is."""
        while (ready := await self._take()) is not None:
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
        data = b"".join([ready.popleft() for _ in range(len(ready))])
        self._taken += len(data)
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
        for step in () if self._closed else self._steps:
            chunk = self._encode(step)
            self._ready.append(chunk)
            self._made += len(chunk)
            if not self._woken:
                self._woken = True
                self._loop.call_soon_threadsafe(self._wake)
            if self._closed:
                break
            if self._made - self._taken > _AHEAD or (self._threads.waiting and time.monotonic() > until):
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
