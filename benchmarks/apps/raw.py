"""The same work as `service.py`, written by hand against ASGI: what the machine can do, with nothing in between.

No log, no metrics, no ids, no timeout, no routing but a dictionary.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import mlp
import numpy as np
import orjson
from item import Item, ItemBody
from pydantic import TypeAdapter

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


_read_body = TypeAdapter(ItemBody).validator.validate_json
_write_item = TypeAdapter(Item).serializer.to_json


async def _read(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body"):
        return message["body"]  # type: ignore[no-any-return]  # the ASGI specification: bytes
    pieces = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        pieces.append(message["body"])
    return b"".join(pieces)


async def _answer(send: Send, body: bytes, media_type: bytes = b"application/json") -> None:
    headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def tiny(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """w1, w2: two numbers in, their sum out."""
    values = orjson.loads(await _read(receive))
    await _answer(send, orjson.dumps({"sum": values["a"] + values["b"]}))


async def model(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """w3: a pydantic model in and out."""
    body = _read_body(await _read(receive))
    await _answer(send, _write_item(body.item))


async def tensor(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """w4: an array of 1 x 1000 floats in and out."""
    array = np.array(orjson.loads(await _read(receive))["a"], dtype=np.float64)
    await _answer(send, orjson.dumps(array * 2, option=orjson.OPT_SERIALIZE_NUMPY))


async def upload(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """w5: a file of 1 MB in a form, written to the disk once; its size out."""
    content_type = dict(scope["headers"])[b"content-type"]
    boundary = b"\r\n--" + content_type.partition(b"boundary=")[2]
    body = await _read(receive)
    start = body.find(b"\r\n\r\n") + 4
    end = body.find(boundary, start)
    handle, path = tempfile.mkstemp()
    os.write(handle, memoryview(body)[start:end])
    os.close(handle)
    size = os.stat(path).st_size
    os.unlink(path)
    await _answer(send, b"%d" % size)


async def _chunks() -> AsyncIterator[bytes]:
    for i in range(100):
        yield b"chunk %03d\n" % i


def _sync_chunks() -> Iterator[bytes]:
    for i in range(100):
        yield b"chunk %03d\n" % i


_STREAM = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
}


async def stream(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """w6: 100 chunks of an asynchronous generator."""
    await _read(receive)
    await send(_STREAM)
    async for chunk in _chunks():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def sync_stream(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """w6s: 100 chunks of an ordinary generator."""
    await _read(receive)
    await send(_STREAM)
    for chunk in _sync_chunks():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def network(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """w9: a row for a scikit-learn network in, its class out."""
    rows = orjson.loads(await _read(receive))["x"]
    await _answer(send, orjson.dumps(mlp.predict(rows), option=orjson.OPT_SERIALIZE_NUMPY))


async def ready(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Say that the server is up."""
    await _answer(send, b"\n", b"text/plain")


ROUTES = {
    "/w1": tiny, "/w2": tiny, "/w3": model, "/w4": tensor, "/w5": upload, "/w6": stream, "/w6s": sync_stream,
    "/w9": network, "/readyz": ready,
}  # fmt: skip


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve."""
    await ROUTES[scope["path"]](scope, receive, send)
