"""TaskQueue: what the server asks of a queue, whatever keeps it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from ...exceptions import BentoMLException
from .model import Claimed, Refused, Reply, StoredRequest, TaskState

__all__ = ["TaskQueue", "TaskStoreError", "TaskStoreFull"]


class TaskStoreError(BentoMLException):
    """The queue cannot be read or written; the message says what to do."""


class TaskStoreFull(TaskStoreError):
    """There is no room on the disk."""


class TaskQueue(Protocol):
    """Keep the tasks of one service for all the processes that serve it; used by one thread of each.

    A process that claims a task owns it until it finishes it, releases it, or dies.
    """

    def together(self, *, writes: bool = True) -> AbstractContextManager[None]:
        """Do what the block asks for completely, and durably when the block has ended, or not at all.

        Raises:
            TaskStoreError: not at all.
        """

    def submit(self, api: str, id: str, request: StoredRequest) -> Refused | None:
        """Add a task; ``full`` when too many wait."""

    def claim(self, apis: Collection[str], limit: int) -> list[Claimed]:
        """Take up to so many of the oldest tasks that wait and are due."""

    def finish(self, id: str, reply: Reply, seconds: float) -> bool:
        """Keep the answer of a task; False when nobody wants it: it was canceled, or somebody else owns it."""

    def release(self, ids: Sequence[str]) -> None:
        """Give tasks back that this process claimed: they wait again, as if they had never been claimed."""

    def status(self, api: str, id: str) -> TaskState | None:
        """Return where a task stands; None when the API has no such task, or has it no more."""

    def result(self, api: str, id: str) -> Reply | Refused:
        """Return the answer of a task."""

    def retry(self, api: str, id: str, new_id: str) -> Refused | None:
        """Add a task with the input of one that has ended."""

    def cancel(self, api: str, id: str) -> Refused | None:
        """Want a task no more; one that was canceled before is fine."""

    def canceled(self, ids: Collection[str]) -> list[str]:
        """Return which of these tasks, that this process runs, somebody canceled."""

    def changed(self) -> bool:
        """Tell, at next to no cost, whether another process changed anything since this was last asked."""

    def tend(self) -> bool:
        """Take up what dead processes left, forget what is old; tell whether a task waits and is due."""

    def numbers(self) -> str:
        """Return the metrics of the queue in Prometheus' text format."""

    def close(self) -> None:
        """Let go of the queue; what this process owned is taken up by others."""
