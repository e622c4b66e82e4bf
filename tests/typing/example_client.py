"""Clients as a user writes them, which `mypy --strict` accepts as they are; `tests/client/test_typed.py` runs it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import bentoml
from bentoml.client.tasks import AsyncTask, ResultStatus, Task
from bentoml.exceptions import BentoMLException, RequestTimeout


@bentoml.service
class Summarizer:
    @bentoml.api
    def summarize(self, text: str) -> str:
        return text[:3]

    @bentoml.api
    def read(self, file: Path) -> str:
        return file.read_text()

    @bentoml.task
    def train(self, epochs: int) -> int:
        return epochs


def call(client: bentoml.SyncHTTPClient) -> list[str]:
    text: str = client.summarize(text="a long text")
    also: str = client.call("summarize", text="a long text")
    quick = client.with_options(timeout=2.5, retries=3)
    assert_type(quick, bentoml.SyncHTTPClient)
    try:
        quick.read(file=b"bytes")
    except RequestTimeout as error:
        assert_type(error.message, str)
    except BentoMLException as error:
        assert_type(error.body, bytes | None)
    task = client.train.submit(epochs=3)
    assert_type(task, Task)
    assert_type(task.get_status(), ResultStatus)
    epochs: int = task.wait(timeout=10)
    assert_type(client.is_ready(), bool)
    return [text, also, str(epochs)]


async def acall(client: bentoml.AsyncHTTPClient) -> list[str]:
    text: str = await client.summarize(text="a long text")
    task = await client.train.submit(epochs=3)
    assert_type(task, AsyncTask)
    assert_type(await task.get_status(), ResultStatus)
    epochs: int = await task.wait()
    return [text, str(epochs)]


def both() -> list[str]:
    with bentoml.testing.client(Summarizer, settings={"traffic": {"timeout": 5}}) as client:
        assert_type(client, bentoml.SyncHTTPClient)
        return call(client)


async def aboth() -> list[str]:
    async with bentoml.testing.async_client(Summarizer) as client:
        assert_type(client, bentoml.AsyncHTTPClient)
        return await acall(client)
