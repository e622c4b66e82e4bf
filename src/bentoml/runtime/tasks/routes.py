"""What a task answers beside its own route: submit, status, get, retry and cancel."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..answer import JSON, TEXT
from ..errors import error_body
from ..web.pages import Content, send_page
from .clerk import Clerk
from .exchange import Copied, pieces, reply_start, stored
from .model import Refused, Reply, StoredRequest, TaskState
from .queue import TaskStoreError, TaskStoreFull
from .runner import Runner
from .spool import NO_ROOM, Spool, forget

__all__ = ["ACCEPTED", "TaskRoutes"]

logger = logging.getLogger(__name__)

ACCEPTED = 204  # what the rehearsal of a submission answers when its body is one that the API takes
_ID = re.compile(r"[0-9a-f]{32}")
_FRESH = (b"cache-control", b"no-store")
_RETRY_LATER = (b"retry-after", b"10")
_FULL = "too many tasks wait already"
_NO_ROOM = "the task could not be stored: there is no room on the disk of the server"
_UNAVAILABLE = "the task queue is not available; the log of the server says why"

Answered = Callable[[str, Scope, Send], Awaitable[None]]


class TaskRoutes:
    """The routes of one task; ``rehearsal`` answers a body as the API would, but runs nothing."""

    def __init__(
        self,
        api: str,
        rehearsal: ASGIApp,
        clerk: Clerk,
        runner: Runner,
        new_spool: Callable[[], Spool],
        *,
        secret: bytes,
    ) -> None:
        self._api = api
        self._rehearsal = rehearsal
        self._clerk = clerk
        self._runner = runner
        self._new_spool = new_spool
        self._secret = secret

    def table(self) -> dict[str, ASGIApp]:
        """Return what answers each path."""
        base = self._api.rstrip("/")
        return {
            f"{base}/submit": _only(("POST",), self._submit),
            f"{base}/status": _only(("GET", "HEAD"), self._of_task(self._status)),
            f"{base}/get": _only(("GET", "HEAD"), self._of_task(self._get)),
            f"{base}/retry": _only(("POST", "PUT"), self._of_task(self._retry)),
            f"{base}/cancel": _only(("PUT", "POST"), self._of_task(self._cancel)),
        }

    async def _submit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body as the API does; where it fits, keep it as it came."""
        spool = self._new_spool()
        copied, accepted = Copied(receive, spool), _Accepted(send)
        try:
            await self._rehearsal(scope, copied, accepted)
            if accepted and copied.problem is not None:
                raise copied.problem
            if accepted:
                await self._keep(
                    stored(scope, await spool.settled(), secret=self._secret), spool, scope, send
                )
        finally:
            spool.discard()

    async def _keep(self, request: StoredRequest, spool: Spool, scope: Scope, send: Send) -> None:
        id = secrets.token_hex(16)
        spool.keep()  # from here on nobody knows, if this is cancelled, whether there is a task that has it
        try:
            refused = await self._clerk.write(lambda q: q.submit(self._api, id, request))
        except TaskStoreError:
            forget(request.body)
            raise
        if refused is not None:
            forget(request.body)
        await self._answer_new(id, refused, scope, send)

    async def _status(self, id: str, scope: Scope, send: Send) -> None:
        state = await self._clerk.read(lambda q: q.status(self._api, id))
        if state is None:
            return await _refuse("missing", id, scope, send)
        await _send(200, json.dumps(_shown(state)).encode(), scope, send)

    async def _get(self, id: str, scope: Scope, send: Send) -> None:
        reply = await self._clerk.read(lambda q: q.result(self._api, id))
        if not isinstance(reply, Reply):
            return await _refuse(reply, id, scope, send)
        async with aclosing(pieces(reply.body)) as source:
            piece = await anext(source, b"")  # a file that cannot be read is known before anything is sent
            await send(reply_start(reply))
            while piece and scope["method"] != "HEAD":
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await anext(source, b"")
        await send({"type": "http.response.body", "body": b""})

    async def _retry(self, id: str, scope: Scope, send: Send) -> None:
        new_id = secrets.token_hex(16)
        refused = await self._clerk.write(lambda q: q.retry(self._api, id, new_id))
        await self._answer_new(new_id, refused, scope, send, of=id)

    async def _cancel(self, id: str, scope: Scope, send: Send) -> None:
        refused = await self._clerk.write(lambda q: q.cancel(self._api, id))
        if refused is not None:
            return await _refuse(refused, id, scope, send)
        self._runner.cancel(id)
        await _send(200, json.dumps({"task_id": id, "status": "canceled"}).encode(), scope, send)

    async def _answer_new(
        self, id: str, refused: Refused | None, scope: Scope, send: Send, *, of: str = ""
    ) -> None:
        if refused is not None:
            return await _refuse(refused, of, scope, send)
        self._runner.wake()
        await _send(200, json.dumps({"task_id": id, "status": "pending"}).encode(), scope, send)

    def _of_task(self, answer: Answered) -> ASGIApp:
        """Return what answers requests about the task that their query names."""

        async def answered(scope: Scope, receive: Receive, send: Send) -> None:
            query = parse_qs(scope["query_string"].decode("latin-1"))
            id = query.get("task_id", [""])[-1].strip()
            if not id:
                return await _send(400, error_body("task_id is required"), scope, send)
            if not _ID.fullmatch(id):
                return await _refuse("missing", id, scope, send)
            await answer(id, scope, send)

        return answered


class _Accepted:
    """A ``send`` that holds back the answer of a rehearsal that went well, and passes on any other."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._accepted = False

    def __bool__(self) -> bool:
        return self._accepted

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._accepted = message["status"] == ACCEPTED
        if not self._accepted:
            await self._send(message)


def _only(methods: tuple[str, ...], app: ASGIApp) -> ASGIApp:
    """Return an application that answers these methods, and says so when the queue cannot be used."""
    allow = (b"allow", ", ".join(methods).encode())

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in methods:
            return await send_page((405, TEXT, b"Method Not Allowed"), scope, send, allow)
        try:
            await app(scope, receive, send)
        except (TaskStoreError, OSError) as e:
            logger.error("%s: %s", scope["path"], e)
            if isinstance(e, TaskStoreFull) or (isinstance(e, OSError) and e.errno in NO_ROOM):
                await _send(507, error_body(_NO_ROOM), scope, send)
            else:
                await _send(503, error_body(_UNAVAILABLE), scope, send, _RETRY_LATER)

    return answered


async def _refuse(why: Refused, id: str, scope: Scope, send: Send) -> None:
    match why:
        case "missing":
            await _send(404, error_body("task_id not found"), scope, send)
        case "unfinished":
            await _send(400, error_body(f"task {id} is not completed yet"), scope, send)
        case "canceled":
            await _send(400, error_body(f"task {id} was canceled"), scope, send)
        case "ended":
            await _send(400, error_body(f"task {id} has ended already"), scope, send)
        case "full":
            await _send(503, error_body(_FULL), scope, send, _RETRY_LATER)


async def _send(code: int, body: bytes, scope: Scope, send: Send, *headers: tuple[bytes, bytes]) -> None:
    content: Content = (code, JSON, body)
    await send_page(content, scope, send, _FRESH, *headers)


def _shown(state: TaskState) -> dict[str, Any]:
    return {
        "task_id": state.id,
        "status": state.status,
        "created_at": _time(state.created_at),
        "executed_at": _time(state.executed_at),
        "completed_at": _time(state.completed_at),
    }


def _time(seconds: float | None) -> str | None:
    return (
        None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    )
