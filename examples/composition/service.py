"""Two services: one cleans texts, the other one uses it to compare them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

import bentoml


@bentoml.service
class Words:
    """Cut a text into its words."""

    @bentoml.api
    def count(self, text: str) -> dict[str, int]:
        """Return how often each word occurs, in lower case."""
        return dict(Counter(re.findall(r"\w+", text.lower())))


@bentoml.service(traffic={"timeout": 10})
class Similarity:
    """Compare two texts by the words that they share."""

    words = bentoml.depends(Words)

    @bentoml.api
    async def compare(self, one: str, other: str) -> float:
        """Return the share of common words: 0.0 for none, 1.0 for the same words equally often."""
        first, second = map(
            Counter,
            await asyncio.gather(self.words.to_async.count(text=one), self.words.to_async.count(text=other)),
        )
        either = (first | second).total()
        return (first & second).total() / either if either else 1.0
