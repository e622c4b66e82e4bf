"""Who uses the one program of a server: each worker that passes requests on to it holds a lock, which ends with it."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["nobody_uses", "using"]

_LOOK_EVERY = 0.05


@contextmanager
def using(lock: Path | None) -> Iterator[None]:
    """Be one of those who use what the lock stands for; without one there is nobody else."""
    if lock is None:
        yield
        return
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


async def nobody_uses(lock: Path | None) -> None:
    """Return when nobody uses it any more."""
    if lock is None:
        return
    with lock.open("ab") as file:
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_LOOK_EVERY)
