"""What a task is: its request, its answer, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Body", "Claimed", "Ended", "Headers", "Refused", "Reply", "Status", "StoredRequest", "TaskState"]

Status = Literal["pending", "in_progress", "completed", "failed", "canceled"]
Headers = tuple[tuple[str, str], ...]
Body = bytes | Path  # a long one is a file
Ended = Literal["completed", "failed"]
Refused = Literal[
    "missing", "unfinished", "ended", "canceled", "full"
]  # why a wish about a task cannot be granted


@dataclass(frozen=True)
class StoredRequest:
    """A submission as it came over HTTP, without the credentials of its sender."""

    headers: Headers
    query: str
    client: tuple[str, int] | None
    scheme: str
    body: Body


@dataclass(frozen=True)
class Reply:
    """The answer of an API as it goes over HTTP."""

    code: int
    headers: Headers
    body: Body

    @property
    def status(self) -> Ended:
        """What it makes of its task."""
        return "completed" if self.code < 400 else "failed"


@dataclass(frozen=True)
class TaskState:
    """Where a task stands; times are seconds since 1970."""

    id: str
    status: Status
    created_at: float
    executed_at: float | None
    completed_at: float | None


@dataclass(frozen=True)
class Claimed:
    """A task that this process is to run; ``attempt`` counts from 1."""

    id: str
    api: str
    attempt: int
    request: StoredRequest
