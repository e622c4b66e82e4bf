"""Tell a story word by word, as a language model gives its tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import bentoml

STORY = "Once upon a time {name} trained a small model, packed it, and served it to everybody who asked."


@bentoml.service(traffic={"timeout": 10})
class Story:
    """Tell a story, one word after the other."""

    @bentoml.api
    async def tell(
        self, name: str = "a reader", pause: float = bentoml.Field(0.05, ge=0, le=1)
    ) -> AsyncIterator[str]:
        """Stream the story; `pause` is the time between two words, in seconds."""
        for word in STORY.format(name=name).split():
            yield word + " "
            await asyncio.sleep(pause)
