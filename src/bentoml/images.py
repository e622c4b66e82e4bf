"""What lies under a service in its image, as `bentoml.images`."""

from __future__ import annotations

from .sdk.image import Image

__all__ = ["Image"]
