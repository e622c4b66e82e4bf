"""A service as a user writes it, which `mypy --strict` accepts as it is; `tests/sdk/test_typing.py` runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any, assert_type

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

import bentoml
from bentoml.validators import ContentType, DType, Shape


class Request(BaseModel):
    text: str
    times: int = 1


@bentoml.service
class Echo:
    @bentoml.api
    def echo(self, text: str) -> str:
        return text

    @bentoml.api
    async def shout(self, text: str, ctx: bentoml.Context) -> str:
        ctx.response.headers["x-shouted"] = "yes"
        return text.upper()

    @bentoml.api
    async def letters(self, text: str) -> AsyncGenerator[str, None]:
        for letter in text:
            yield letter


@bentoml.service(
    name="main", resources={"cpu": "200m", "memory": "512Mi"}, traffic={"timeout": 10}, workers=1
)
class Main:
    echo = bentoml.depends(Echo)

    def __init__(self) -> None:
        self.calls = 0

    @bentoml.on_deployment
    def deploy() -> None:
        """Do nothing, once."""

    @bentoml.on_startup
    def start(self) -> None:
        self.calls = 1

    @bentoml.api(route="/custom/url/name")
    async def both(self, text: str) -> list[str]:
        direct: str = self.echo.echo(text)
        awaited: str = await self.echo.to_async.echo(text)
        return [direct, awaited, await self.echo.shout(text)]

    @bentoml.api(input_spec=Request)
    def with_spec(self, **fields: Any) -> dict[str, Any]:
        return fields

    @bentoml.api
    def add(
        self, values: Annotated[npt.NDArray[np.float32], DType("float32"), Shape((-1,))]
    ) -> npt.NDArray[np.float32]:
        return values + 1

    @bentoml.api
    def size(self, file: Annotated[Path, ContentType("text/*")]) -> int:
        return file.stat().st_size


main = Main()
assert_type(main.with_spec(text="x", times=2), dict[str, Any])
assert_type(Echo().echo("x"), str)
assert_type(main.add(np.zeros(1, np.float32)), npt.NDArray[np.float32])
