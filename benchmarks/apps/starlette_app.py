"""The work of `service.py` with Starlette, as its documentation has it: what blocks is run in its thread pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import mlp
import numpy as np
import orjson
from item import ItemBody
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

EVENTS = "text/event-stream"


def add(values: dict[str, int]) -> dict[str, int]:
    return {"sum": values["a"] + values["b"]}


def item(body: bytes) -> bytes:
    return ItemBody.model_validate_json(body).item.model_dump_json().encode()


def double(body: bytes) -> bytes:
    array = np.array(orjson.loads(body)["a"], dtype=np.float64)
    return orjson.dumps(array * 2, option=orjson.OPT_SERIALIZE_NUMPY)


def classify(body: bytes) -> bytes:
    return orjson.dumps(mlp.predict(orjson.loads(body)["x"]), option=orjson.OPT_SERIALIZE_NUMPY)


def json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


async def w1(request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(add, await request.json()))


async def w2(request: Request) -> Response:
    return JSONResponse(add(await request.json()))


async def w3(request: Request) -> Response:
    return json(await run_in_threadpool(item, await request.body()))


async def w4(request: Request) -> Response:
    return json(await run_in_threadpool(double, await request.body()))


async def w5(request: Request) -> Response:
    async with request.form() as form:
        file: Any = form["file"]
        return json(b"%d" % file.size)


async def chunks() -> AsyncIterator[str]:
    for i in range(100):
        yield f"chunk {i:03d}\n"


def sync_chunks() -> Iterator[str]:
    for i in range(100):
        yield f"chunk {i:03d}\n"


async def w6(request: Request) -> Response:
    return StreamingResponse(chunks(), media_type=EVENTS)


async def w6s(request: Request) -> Response:
    return StreamingResponse(sync_chunks(), media_type=EVENTS)


async def w9(request: Request) -> Response:
    return json(await run_in_threadpool(classify, await request.body()))


async def ready(request: Request) -> Response:
    return PlainTextResponse("\n")


app = Starlette(
    routes=[
        *(Route(f"/{f.__name__}", f, methods=["POST"]) for f in (w1, w2, w3, w4, w5, w6, w6s, w9)),
        Route("/readyz", ready),
    ]
)
