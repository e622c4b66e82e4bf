"""Whether the service lives and takes requests: the answers at /livez, /readyz and /healthz."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from ..sdk.dependency import RESOLVER, LocalServices
from ..sdk.service import Service
from .answer import TEXT
from .errors import RAISED

__all__ = ["Health"]

logger = logging.getLogger(__name__)

Answer = tuple[int, bytes, bytes]

_GOOD: Answer = (200, TEXT, b"\n")
_PATIENCE = 5.0  # seconds that a check of the user's may take


class Health:
    """Answer the probes for one instance of a service and for what it depends on.

    ``patience`` is for how many seconds a check of the user's may think: a probe that does not answer is of no use to
    whoever asks, and one check at a time is enough.
    """

    def __init__(self, service: Service[Any], instance: Any, *, patience: float = _PATIENCE) -> None:
        self._probe = service.settings.runner_probe
        services = getattr(instance, RESOLVER, None) or LocalServices()
        self._remotes = services.remotes
        self._alive = _Check(instance, "__is_alive__", patience)
        self._ready = _Check(instance, "__is_ready__", patience)
        self._dependencies = [
            _Check(its_instance, "__is_ready__", patience) for its_instance in services.instances.values()
        ]

    async def alive(self) -> Answer:
        """Return 200, or 503 where the service's ``__is_alive__`` says no."""
        reason = await self._alive.refusal()
        return _GOOD if reason is None else _bad(f"Service is dead because .__is_alive__() {reason}.")

    async def ready(self) -> Answer:
        """Return 200, or 503 where ``__is_ready__`` says no, of the service or of one that it depends on."""
        reason = await self._ready.refusal()
        if reason is not None:
            return _bad(f"Service is not ready because .__is_ready__() {reason}.")
        if self._probe.enabled:
            here = [check.refusal() for check in self._dependencies]
            there = [remote.is_ready(self._probe.timeout) for remote in self._remotes.values()]
            if any(await asyncio.gather(*here)) or not all(await asyncio.gather(*there)):
                return _bad("Runners are not ready.")
        return _GOOD


class _Check:
    """Ask a check that the user has written; a sync one runs in a thread that no API call can hold up."""

    def __init__(self, instance: Any, name: str, patience: float) -> None:
        self._check: Callable[[], Any] | None = getattr(instance, name, None)
        self._name = f"{type(instance).__name__}.{name}"
        self._patience = patience
        self._running: asyncio.Task[bool | BaseException] | None = None

    async def refusal(self) -> str | None:
        """Return why the answer is no, or None where it is yes or nobody checks."""
        if self._check is None:
            return None
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(_asked(self._check))
        done, _ = await asyncio.wait([self._running], timeout=self._patience)
        if not done:
            logger.error("`%s` has not answered within %g seconds", self._name, self._patience)
            return f"does not answer within {self._patience:g} seconds"
        answer = self._running.result()
        if isinstance(answer, BaseException):
            logger.error("`%s` failed", self._name, exc_info=answer)
            return "failed"
        return None if answer else "returns False"


async def _asked(check: Callable[[], Any]) -> bool | BaseException:
    """Call a check; what it raises is returned, for its task must not end the event loop."""
    try:
        answer = check() if inspect.iscoroutinefunction(check) else await asyncio.to_thread(check)
        return bool(await answer if inspect.isawaitable(answer) else answer)
    except (*RAISED, asyncio.CancelledError) as e:  # the boundary of the user's code
        return e


def _bad(reason: str) -> Answer:
    return 503, TEXT, reason.encode()
