"""Tasks: calls that a service works off in the background, asked about by their id."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any

from ..exceptions import BentoMLException, RequestTimeout

if TYPE_CHECKING:
    from .aio import AsyncMethod
    from .sync import SyncMethod

__all__ = ["AsyncTask", "ResultStatus", "Task", "status_of", "task_id_of"]

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class ResultStatus(StrEnum):
    """How far a task is; compares equal to its text."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether it stays so."""
        return self not in (ResultStatus.PENDING, ResultStatus.IN_PROGRESS)


@dataclass(frozen=True)
class Task:
    """One submitted call; ``api`` is the client's method that it was submitted by."""

    id: str
    api: SyncMethod = field(repr=False)

    def get_status(self) -> ResultStatus:
        """Ask how far it is."""
        return self.api.get_status(self.id)

    def get(self) -> Any:
        """Return its result, or raise the error that it ended with; ``InvalidArgument`` while it has not ended."""
        return self.api.get(self.id)

    def wait(self, timeout: float | None = None) -> Any:
        """Return its result as soon as it has ended.

        Raises:
            RequestTimeout: it has not within ``timeout`` seconds; it goes on.
            BentoMLException: it failed, or was cancelled.
        """
        for pause in _pauses(self.id, timeout):
            status = self.get_status()
            if status.is_final:
                _refuse_cancelled(self.id, status)
                return self.get()
            time.sleep(pause)

    def cancel(self) -> None:
        """Ask the service not to go on with it."""
        self.api.cancel(self.id)

    def retry(self) -> Task:
        """Submit the same again, which gives a new task."""
        return self.api.retry(self.id)


@dataclass(frozen=True)
class AsyncTask:
    """One submitted call; ``api`` is the client's method that it was submitted by."""

    id: str
    api: AsyncMethod = field(repr=False)

    async def get_status(self) -> ResultStatus:
        """Ask how far it is."""
        return await self.api.get_status(self.id)

    async def get(self) -> Any:
        """Return its result, or raise the error that it ended with; ``InvalidArgument`` while it has not ended."""
        return await self.api.get(self.id)

    async def wait(self, timeout: float | None = None) -> Any:
        """Return its result as soon as it has ended; see ``Task.wait``."""
        for pause in _pauses(self.id, timeout):
            status = await self.get_status()
            if status.is_final:
                _refuse_cancelled(self.id, status)
                return await self.get()
            await asyncio.sleep(pause)

    async def cancel(self) -> None:
        """Ask the service not to go on with it."""
        await self.api.cancel(self.id)

    async def retry(self) -> AsyncTask:
        """Submit the same again, which gives a new task."""
        return await self.api.retry(self.id)


def task_id_of(answer: Any) -> str:
    """Return the id in what a service says about a new task."""
    task_id = answer.get("task_id") if isinstance(answer, dict) else None
    if not isinstance(task_id, str):
        raise BentoMLException(f"the server's answer names no task: `{answer}`")
    return task_id


def status_of(answer: Any) -> ResultStatus:
    """Return the status in what a service says about a task."""
    status: Any = answer.get("status") if isinstance(answer, dict) else None
    try:
        return ResultStatus(status)
    except ValueError as e:
        raise BentoMLException(f"the server's answer holds no known status: `{answer}`") from e


def _pauses(task_id: str, timeout: float | None) -> Iterator[float]:
    """Yield how long to wait between two questions, longer and longer; RequestTimeout when the time is over."""
    deadline = None if timeout is None else time.monotonic() + timeout
    for number in count():
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 1.5**number)
        if deadline is not None:
            left = deadline - time.monotonic()
            if number and left <= 0:
                raise RequestTimeout(f"task `{task_id}` has not ended after {timeout:g} seconds; it goes on")
            pause = min(pause, max(0.0, left))
        yield pause


def _refuse_cancelled(task_id: str, status: ResultStatus) -> None:
    if status is ResultStatus.CANCELED:
        raise BentoMLException(f"task `{task_id}` was cancelled")
