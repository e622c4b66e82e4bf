"""What an API gives piece by piece: the events of a stream."""

from __future__ import annotations

from .sdk.sse import SSE

__all__ = ["SSE"]
