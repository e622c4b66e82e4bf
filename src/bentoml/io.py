"""What an API gives piece by piece: the events of a stream."""

from __future__ import annotations

from .sdk.values.sse import SSE

__all__ = ["SSE"]
