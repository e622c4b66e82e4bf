"""One service that both this project and BentoML from the package index serve unchanged."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import mlp
import numpy as np
from item import Item

import bentoml


@bentoml.service
class Bench:
    """The workloads of `serve.py`."""

    @bentoml.api
    def w1(self, a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}

    @bentoml.api
    async def w2(self, a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}

    @bentoml.api
    def w3(self, item: Item) -> Item:
        return item

    @bentoml.api
    def w4(self, a: np.ndarray) -> np.ndarray:
        return a * 2

    @bentoml.api
    def w5(self, file: Path) -> int:
        return file.stat().st_size

    @bentoml.api
    async def w6(self) -> AsyncGenerator[str, None]:
        for i in range(100):
            yield f"chunk {i:03d}\n"

    @bentoml.api
    def w6s(self) -> Generator[str, None, None]:
        for i in range(100):
            yield f"chunk {i:03d}\n"

    @bentoml.api
    def w9(self, x: np.ndarray) -> np.ndarray:
        return mlp.predict(x)
