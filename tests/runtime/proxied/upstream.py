"""The program that the tests of command services run: an ASGI application in uvicorn, told its port by its arguments."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import uvicorn


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Echo requests and websocket messages; ``/slow`` streams, ``/die`` ends the process."""
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4001})
                return
            await send({"type": "websocket.send", "text": f"you said {message['text']}"})
        return
    if scope["path"] == "/die":
        os._exit(3)
    if scope["path"] == "/slow":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["more_body"]:
            pass
        gone = asyncio.create_task(receive())
        for number in range(3000):
            if gone.done():
                return
            await send({"type": "http.response.body", "body": b"%d " % number, "more_body": True})
            await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": b"end"})
        return
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    about = {
        "method": scope["method"],
        "path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "size": size,
        "headers": [[n.decode(), v.decode()] for n, v in scope["headers"]],
        "argv": sys.argv[1:],
        "pid": os.getpid(),
    }
    headers = [(b"x-two", b"a"), (b"x-two", b"b"), (b"connection", b"close")]
    status = 418 if scope["path"] == "/teapot" else 404 if scope["path"] == "/missing" else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(about).encode()})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), lifespan="off", log_level="warning")
