"""The work of `service.py` with FastAPI, as its documentation has it: types in the signature, `def` for what blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import mlp
import numpy as np
import orjson
from fastapi import Body, FastAPI, Response, UploadFile
from fastapi.responses import StreamingResponse
from item import Item, ItemBody

app = FastAPI()
EVENTS = "text/event-stream"
Number = Annotated[int, Body()]


@app.post("/w1")
def w1(a: Number, b: Number) -> dict[str, int]:
    return {"sum": a + b}


@app.post("/w2")
async def w2(a: Number, b: Number) -> dict[str, int]:
    return {"sum": a + b}


@app.post("/w3")
def w3(body: ItemBody) -> Item:
    return body.item


@app.post("/w4", response_class=Response)
def w4(a: Annotated[list[list[float]], Body(embed=True)]) -> Response:
    array = np.array(a, dtype=np.float64) * 2
    return Response(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


@app.post("/w5")
def w5(file: UploadFile) -> int:
    return file.size or 0


async def chunks() -> AsyncIterator[str]:
    for i in range(100):
        yield f"chunk {i:03d}\n"


def sync_chunks() -> Iterator[str]:
    for i in range(100):
        yield f"chunk {i:03d}\n"


@app.post("/w6", response_class=StreamingResponse)
async def w6() -> StreamingResponse:
    return StreamingResponse(chunks(), media_type=EVENTS)


@app.post("/w6s", response_class=StreamingResponse)
def w6s() -> StreamingResponse:
    return StreamingResponse(sync_chunks(), media_type=EVENTS)


@app.post("/w9")
def w9(x: Annotated[list[list[float]], Body(embed=True)]) -> list[int]:
    labels: list[int] = mlp.predict(x).tolist()
    return labels


@app.get("/readyz")
async def ready() -> str:
    return "\n"
