"""A service with tasks, and what its callers do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

import bentoml
from bentoml.exceptions import InvalidArgument
from bentoml.runtime.app import AppOptions, create_app
from bentoml.runtime.tasks.place import Place, TaskOptions

Client = TestClient


class Bench:
    """What the tasks of a test do together: who ran, and when a gate opens."""

    def __init__(self) -> None:
        self.ran: list[Any] = []
        self.gate = threading.Event()
        self.waits = threading.Event()

    def clear(self) -> None:
        """Begin another test; who still waits for the gate of the last one may go on."""
        self.gate.set()
        self.ran, self.gate, self.waits = [], threading.Event(), threading.Event()


BENCH = Bench()


@bentoml.service(threads=3)
class Jobs:
    @bentoml.task
    def double(self, n: int) -> int:
        BENCH.ran.append(n)
        return n * 2

    @bentoml.task(route="/deep/gated")
    def gated(self, n: int = 0) -> str:
        BENCH.ran.append(n)
        assert BENCH.gate.wait(60)
        return f"done {n}"

    @bentoml.task
    async def waiting(self, seconds: float = 60) -> str:
        BENCH.waits.set()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            BENCH.ran.append("cancelled")
            raise
        return "slept"

    @bentoml.task
    def told(self, ctx: bentoml.Context) -> dict[str, Any]:
        ctx.response.status_code = 201
        ctx.response.headers["x-answer"] = "yes"
        return {
            "id": ctx.request.state.task_id,
            "headers": dict(ctx.request.headers),
            "query": str(ctx.request.url.query),
            "path": ctx.request.url.path,
        }

    @bentoml.task
    def twice(self, file: Path) -> Path:
        out = file.with_name("out.bin")
        out.write_bytes(file.read_bytes() * 2)
        return out

    @bentoml.task
    def echo(self, text: str) -> str:
        return text

    @bentoml.task
    def wrong(self, how: str = "") -> int:
        if how == "caller":
            raise InvalidArgument("not like this")
        if how == "type":
            return "not a number"  # type: ignore[return-value]
        raise ValueError("secret")

    @bentoml.api
    def ordinary(self) -> str:
        return "as ever"


@contextmanager
def client_of(service: Any, place: Place | None = None, **options: Any) -> Iterator[Client]:
    tasks = TaskOptions(place or Place("test", None, None), **options)
    app: Any = create_app(service, options=AppOptions(access_log=False, tasks=tasks))
    with TestClient(app) as client:
        yield client


def submit(client: Client, path: str, **request: Any) -> str:
    answer = client.post(f"{path}/submit", **({"json": {}} | request))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["task_id"])


def status(client: Client, path: str, id: str) -> str:
    return str(client.get(f"{path}/status", params={"task_id": id}).json()["status"])


def until(client: Client, path: str, id: str, *wanted: str) -> str:
    end = time.monotonic() + 60
    while (now := status(client, path, id)) not in wanted:
        assert time.monotonic() < end, f"{path} is {now}"
        time.sleep(0.005)
    return now


def result(client: Client, path: str, id: str) -> Any:
    until(client, path, id, "completed", "failed")
    return client.get(f"{path}/get", params={"task_id": id})


def until_true(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
