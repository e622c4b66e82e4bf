"""Stand-ins for the names of `vllm` that the document uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any


class SamplingParams(SimpleNamespace): ...


class AsyncEngineArgs(SimpleNamespace): ...


class AsyncLLMEngine:
    @classmethod
    def from_engine_args(cls, args: AsyncEngineArgs) -> AsyncLLMEngine:
        return cls()

    async def add_request(self, number: int, prompt: str, params: Any, prompt_token_ids: Any) -> AsyncIterator[Any]:
        async def outputs() -> AsyncIterator[Any]:
            for word in prompt.split():
                yield SimpleNamespace(outputs=[SimpleNamespace(text=word + " ")])

        return outputs()
