"""Images of bentos, as `bentoml.container`: build one, ask whether an engine answers, get the Dockerfile."""

from __future__ import annotations

from .builder.engines.model import EngineImage
from .builder.image.api import build, get_backend, get_containerfile, health, register_backend
from .builder.image.result import ImageResult

__all__ = [
    "EngineImage",
    "ImageResult",
    "build",
    "get_backend",
    "get_containerfile",
    "health",
    "register_backend",
]
