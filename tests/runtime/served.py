"""A service answered in this process: its application, driven as an ASGI server drives it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bentoml.runtime.app import AppOptions, create_app

Messages = list[dict[str, Any]]


@dataclass
class Reply:
    """What came back."""

    status: int = 0
    raw_headers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = False

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.raw_headers)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """One running application."""

    def __init__(self, app: Any, runner: asyncio.Runner) -> None:
        self.app = app
        self._runner = runner

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the event loop of the application."""
        return self._runner.run(work)

    def ask(self, path: str, body: Any = b"", **more: Any) -> Reply:
        """Send one request and return the whole reply."""
        reply: Reply = self.run(self.request(path, body, **more))
        return reply

    async def request(
        self,
        path: str,
        body: Any = b"",
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        pieces: int = 1,
        on_chunk: Callable[[Reply], bool] | None = None,
        gone_after: float | None = None,
        query: str = "",
    ) -> Reply:
        """Send one request; the client goes away when ``on_chunk`` returns True, or after ``gone_after`` seconds."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-length": str(len(data)), **(headers or {"content-type": "application/json"})}
        size = max(1, -(-len(data) // pieces))
        bodies = [data[i : i + size] for i in range(0, len(data), size)] or [b""]
        gone = asyncio.Event()
        if gone_after is not None:
            asyncio.get_running_loop().call_later(gone_after, gone.set)
        reply = Reply()

        async def receive() -> dict[str, Any]:
            if bodies:
                return {"type": "http.request", "body": bodies.pop(0), "more_body": bool(bodies)}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                assert not reply.status, "a second response"
                reply.status = message["status"]
                reply.raw_headers = [(n.decode(), v.decode()) for n, v in message["headers"]]
                return
            assert reply.status
            assert not reply.complete
            reply.chunks.append(message.get("body", b""))
            reply.complete = not message.get("more_body", False)
            if on_chunk is not None and on_chunk(reply):
                gone.set()
            await asyncio.sleep(0)

        await self.app(
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": method,
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "query_string": query.encode(),
                "root_path": "",
                "headers": [(n.lower().encode(), v.encode()) for n, v in sent.items()],
                "client": ("127.0.0.1", 4711),
                "server": ("127.0.0.1", 3000),
            },
            receive,
            send,
        )
        return reply


@contextmanager
def served(service: Any, **options: Any) -> Iterator[Served]:
    """Start a service, run the block, stop it; what its lifespan raises comes out."""
    app: Any = create_app(service, options=AppOptions(**{"access_log": False, **options}))
    with asyncio.Runner() as runner:
        lifespan = _Lifespan(app)
        runner.run(lifespan.start())
        try:
            yield Served(app, runner)
        finally:
            runner.run(lifespan.stop())


class _Lifespan:
    def __init__(self, app: Any) -> None:
        self._app = app

    async def start(self) -> None:
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task = asyncio.create_task(self._app({"type": "lifespan"}, self._events.get, self._answers.put))
        await self._step("startup")

    async def stop(self) -> None:
        await self._step("shutdown")
        await self._task

    async def _step(self, name: str) -> None:
        await self._events.put({"type": f"lifespan.{name}"})
        answer = asyncio.create_task(self._answers.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            self._task.result()
        assert (await answer)["type"] == f"lifespan.{name}.complete"
