"""A worker for the tests of the supervisor: the real protocol and server around a tiny application, no user code.

The identifier is a list of wishes: ``workers=2``, ``fail=import``, ``fail=start``, ``fail=restart``, ``marks=FOLDER``,
``hold=restart`` (a worker that starts again does so when there is a mark ``go``).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from bentoml.runtime.http.lifespan import ASGIApp, Message, Receive, Send
from bentoml.runtime.http.server import answer
from bentoml.runtime.process.frames import Channel, Deployed, Description, Failed, Load, Serve
from bentoml.runtime.process.signals import end_with
from bentoml.sdk.configuration.sections import Limits


def main() -> None:
    """Do what a worker does."""
    control = socket.socket(fileno=int(sys.argv[-1]))
    end_with(control.fileno())
    channel = Channel(control)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = channel.receive()
    assert isinstance(order, Load)
    wishes = dict(wish.split("=", 1) for wish in order.identifier.split())
    fail = wishes.get("fail")
    marks = Path(wishes["marks"])
    mark(marks, f"load-{order.index}")
    if fail == "import":
        give_up(channel, 3, "Traceback: cannot import")
    if fail == "usage":
        give_up(channel, 1, "there is no such service")
    channel.send(
        Description(
            target={
                "import_string": order.identifier,
                "working_dir": wishes.get("folder"),
                "bento_tag": None,
            },
            service="fake",
            workers=int(wishes.get("workers", 1)),
            host="127.0.0.1",
            port=0,
            backlog=2048,
            timeout=float(wishes.get("timeout", 5)),
        )
    )
    serve = channel.receive()
    assert isinstance(serve, Serve)
    if serve.deploy:
        mark(marks, "deployed")
        channel.send(Deployed())
    again = len(list(marks.glob(f"load-{order.index}-*"))) > 1
    while again and wishes.get("hold") == "restart" and not (marks / "go").exists():
        time.sleep(0.01)
    if fail == "start" or (fail == "restart" and again):
        give_up(channel, 3, "Traceback: cannot start")
    if fail == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    listening = socket.socket(fileno=channel.descriptors.pop())
    answer(tiny_app(marks, order.index), listening, serve, channel, {}, Limits())


def give_up(channel: Channel, exit_code: int, message: str) -> None:
    """Fail as a worker does."""
    channel.send(Failed(exit_code, message))
    sys.exit(exit_code)


def mark(folder: Path, name: str) -> None:
    """Leave a file that the test can count."""
    (folder / f"{name}-{os.getpid()}-{time.monotonic_ns()}").touch()


def tiny_app(marks: Path, index: int) -> ASGIApp:
    """Answer with the process id, after ``/<seconds>``, or for ``/go`` when there is a mark of that name."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            mark(marks, f"shutdown-{index}")
            await send({"type": "lifespan.shutdown.complete"})
            return
        mark(marks, "request")
        wish = scope["path"].strip("/") or "0"
        while wish == "go" and not (marks / "go").exists():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0 if wish == "go" else float(wish))
        body = str(os.getpid()).encode()
        headers: list[Any] = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


if __name__ == "__main__":
    main()
