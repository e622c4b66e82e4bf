"""A real server in a thread of this process, on a free port of the loopback or on a Unix socket."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import uvicorn


@contextmanager
def serving(
    app: Any, *, lifespan: Literal["on", "off"] = "off", delay: float = 0, unix: Path | None = None
) -> Iterator[str]:
    """Serve an ASGI application until the block ends; gives the address. It listens only after ``delay`` seconds."""
    # The protocol is named, as asyncio sets TCP_NODELAY only on sockets that say that they are TCP.
    kind = (socket.AF_UNIX,) if unix else (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    with socket.socket(*kind) as listener:
        listener.bind(str(unix) if unix else ("127.0.0.1", 0))
        address = f"file://{unix}" if unix else f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan=lifespan))

        def run() -> None:
            time.sleep(delay)
            listener.listen()
            asyncio.run(server.serve(sockets=[listener]))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            while not delay and not server.started and thread.is_alive():
                time.sleep(0.005)
            yield address
        finally:
            server.should_exit = True
            thread.join(timeout=60)
