"""A small project to build."""

from __future__ import annotations

import bentoml


@bentoml.service
class Small:
    """One API."""

    @bentoml.api
    def shout(self, text: str) -> str:
        return text.upper()
