"""One request while it is being answered, and what all requests of a service share."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from time import perf_counter
from typing import Any

from starlette.types import Receive, Scope, Send

from ..sdk.configuration.sections import Limits
from ..sdk.context import Context, request_ids
from .guard.origins import Origins
from .guard.room import Room
from .guard.traffic import Traffic
from .intake.download import MayFetch, is_public
from .intake.folders import Folders
from .process.logging import Trace
from .telemetry.access_log import AccessLog
from .telemetry.metrics import Metrics
from .threads import WorkerThreads

__all__ = ["IDS", "ROUTE", "SPAN", "Call", "Receive", "Scope", "Send", "Server"]

_TRACEPARENT = re.compile(  # zeros are no ids, and `ff` is no version
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)
IDS = "bentoml.ids"  # of a scope: trace and span ids, and whether they are exported
ROUTE = (
    "bentoml.route"  # of a scope: the endpoint that it is counted under, where that is found out on the way
)
SPAN = "bentoml.span"  # of a scope: the span of the request, where there are spans
_random_bits = Random(
    SystemRandom().getrandbits(256)
).getrandbits  # ids name requests; nothing secret needs them


@dataclass(frozen=True, slots=True)
class Server:
    """What the endpoints of one service share in one worker."""

    service: str
    loop: asyncio.AbstractEventLoop
    traffic: Traffic
    threads: WorkerThreads
    folders: Folders
    metrics: Metrics | None
    access_log: AccessLog | None
    limits: Limits
    disk: WorkerThreads  # what writes large uploads
    may_fetch: MayFetch = is_public  # where files that are named by an address may come from
    origins: Origins | None = None  # which web pages may use it; None where that is not looked at
    room: Room = field(default_factory=lambda: Room(math.inf))  # for the bodies of all requests
    trace_id_format: bytes = b"%032x"
    span_id_format: bytes = b"%016x"
    trace_header: bool = False  # whether answers name their trace
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def header(self) -> tuple[bytes, bytes]:
        """The header that says which service answers."""
        return b"server", f"BentoML Service/{self.service}".encode()


class Call:
    """A request: when it came, who it is in the logs, and what must be given back when it is over."""

    status = 500  # of the answer, ...
    sampled = 0  # whether its spans are exported
    media_type = b""
    length = b""  # ... which says what it is as soon as it is known
    task: asyncio.Task[Any] | None = None
    expired = False
    gone = False  # the client of a stream has disconnected
    job: asyncio.Future[Any] | None = None  # what a thread does for it
    lent = False  # a thread still uses the folder, and will give it back
    folder: Path | None = None
    kept = 0  # bytes of the body that are in memory, for which `server.room` has room
    context: Context | None = None

    def __init__(self, scope: Scope, server: Server) -> None:
        self.scope: MutableMapping[str, Any] = scope
        self.server = server
        self.started = perf_counter()
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        if IDS in scope:
            self.trace_id, self.span_id, self.sampled = scope[IDS]
        else:
            parent = self.headers.get(b"traceparent")
            self.trace_id = _random_bits(128) if parent is None else _trace_of(parent)
            self.span_id = _random_bits(64)
        request_ids.set(self)

    @classmethod
    def observed(cls, scope: Scope, server: Server) -> Call:
        """Return a call whose ids later calls with the same scope have too (for what is asked through middleware)."""
        call = cls(scope, server)
        scope[IDS] = (call.trace_id, call.span_id, call.sampled)
        return call

    def expire(self) -> None:
        """End the wait for the answer: whoever awaits it gets a CancelledError and looks at ``expired``."""
        self.expired = True
        if self.task is not None:
            self.task.cancel()

    def temp_dir(self) -> Path:
        """Return this request's own folder; it is emptied when the request is over."""
        if self.folder is None:
            self.folder = self.server.folders.take()
        return self.folder

    def keep(self, size: int) -> None:
        """Note how many bytes of the body are in memory.

        Raises:
            NoRoom: 503, they are more than there is room for.
        """
        before, self.kept = self.kept, size
        self.server.room.change(before, size)

    def release(self) -> None:
        """Give the folder and the room of the body back, once neither the answer nor a thread needs them."""
        if self.kept:
            self.keep(0)
        if self.folder is not None:
            folder, self.folder = self.folder, None
            self.server.folders.give_back(folder)

    def ids(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that name this request."""
        server = self.server
        headers = [(b"x-bentoml-request-id", server.span_id_format % self.span_id)]
        if server.trace_header:
            headers.append((b"x-bentoml-trace-id", server.trace_id_format % self.trace_id))
        return headers

    def traceparent(self) -> str:
        """Return the header by which another server goes on with this trace (W3C Trace Context).

        Where this server has no spans, it passes on whether its caller wants some, and asks for none itself.
        """
        parent = _TRACEPARENT.fullmatch(self.headers.get(b"traceparent", b""))
        wanted = self.sampled or (parent is not None and int(parent[3], 16) & 1)
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(wanted):02x}"

    def trace(self) -> Trace:
        """Return what the log says about which request it is."""
        server = self.server
        trace, span = server.trace_id_format % self.trace_id, server.span_id_format % self.span_id
        return Trace(trace.decode(), span.decode(), self.sampled, server.service)

    def failed(self, error: BaseException) -> None:
        """Note an error of the user's code in the span of this request."""
        span = self.scope.get(SPAN)
        if span is not None:
            span.failed(error)

    def end(self, label: str) -> None:
        """Count and log this request, which has been answered; ``label`` is its endpoint in the metrics."""
        server = self.server
        seconds = perf_counter() - self.started
        if server.metrics is not None:
            server.metrics.end(label, self.status, seconds)
        if server.access_log is not None:
            scope, headers = self.scope, self.headers
            entry = (
                scope["client"],
                scope["scheme"],
                scope["method"],
                scope["path"],
                headers.get(b"content-type", b""),
                headers.get(b"content-length", b""),
                self.status,
                self.media_type,
                self.length,
                seconds * 1000,
                self.trace_id,
                self.span_id,
                self.sampled,
            )
            server.access_log.append(entry)


def _trace_of(parent: bytes) -> int:
    """Return the trace id of a ``traceparent`` header (W3C Trace Context), or a new one where it is not valid."""
    known = _TRACEPARENT.fullmatch(parent)
    return int(known[1], 16) if known else _random_bits(128)
