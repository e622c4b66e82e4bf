"""Whether the service lives and takes requests: the answers at /livez, /readyz and /healthz."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

from .answer import TEXT

__all__ = ["alive", "ready"]

logger = logging.getLogger(__name__)

_GOOD = (200, TEXT, b"\n")


async def alive(instance: object) -> tuple[int, bytes, bytes]:
    """Return 200, or 503 where the service's ``__is_alive__`` says no."""
    if await _says_yes(instance, "__is_alive__"):
        return _GOOD
    return 503, TEXT, b"Service is dead because .__is_alive__() returns False."


async def ready(instance: object) -> tuple[int, bytes, bytes]:
    """Return 200, or 503 where the service's ``__is_ready__`` says no."""
    if await _says_yes(instance, "__is_ready__"):
        return _GOOD
    return 503, TEXT, b"Service is not ready because .__is_ready__() returns False."


async def _says_yes(instance: object, name: str) -> bool:
    """Ask the user's own check; a sync one in a thread that no API call can hold up. An error is a no."""
    check: Any = getattr(instance, name, None)
    if check is None:
        return True
    try:
        if inspect.iscoroutinefunction(check):
            return bool(await check())
        return bool(await asyncio.to_thread(check))
    except Exception:  # the boundary of the user's code
        logger.exception("`%s` failed", name)
        return False
