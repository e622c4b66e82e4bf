"""A stored request as the ASGI request that it was, and the answer to it as what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from starlette.types import Message, Receive, Scope

from .model import Body, Headers, Reply, StoredRequest
from .spool import Spool

__all__ = ["Copied", "Kept", "pieces", "replayed", "reply_start", "scope_of", "stored"]

_PIECE = 1 << 20
# About the connection that the submission came by, or about a part of an answer that nobody waits for.
_DROPPED = frozenset(
    b"connection content-length expect if-range keep-alive proxy-connection range te trailer transfer-encoding upgrade".split()
)
_CREDENTIALS = frozenset((b"authorization", b"cookie", b"proxy-authorization"))


def stored(scope: Scope, body: Body, *, secret: bytes) -> StoredRequest:
    """Return what is kept of a submission: not its credentials, of which ``secret`` is another header."""
    dropped = _DROPPED | _CREDENTIALS | {secret}
    client = scope.get("client")
    return StoredRequest(
        tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"] if n not in dropped),
        scope["query_string"].decode("latin-1"),
        client and (client[0], client[1]),
        scope["scheme"],
        body,
    )


def scope_of(request: StoredRequest, *, path: str, task_id: str) -> Scope:
    """Return the scope of a request that is asked again."""
    body = request.body
    length = body.stat().st_size if isinstance(body, Path) else len(body)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": request.scheme,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": request.query.encode("latin-1"),
        "headers": [*headers, (b"content-length", b"%d" % length)],
        "client": request.client,
        "server": None,
        "state": {"task_id": task_id},
    }


async def pieces(body: Body) -> AsyncGenerator[bytes, None]:
    """Read a body; a file is opened at once, and may be deleted then."""
    if not isinstance(body, Path):
        yield body
        return
    with body.open("rb", buffering=0) as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


def replayed(body: Body) -> Receive:
    """Return a ``receive`` that gives a body, and whose client never goes away."""
    source = pieces(body)
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        piece = await anext(source, None)
        sent = piece is None
        return {"type": "http.request", "body": piece or b"", "more_body": not sent}

    return receive


class Copied:
    """A ``receive`` that keeps a copy of the body that passes; ``problem`` is why it could not."""

    def __init__(self, receive: Receive, spool: Spool) -> None:
        self._receive = receive
        self._spool = spool
        self.problem: OSError | None = None

    async def __call__(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        if self.problem is None and message["type"] == "http.request" and (piece := message.get("body")):
            try:
                self._spool.write(piece)
            except OSError as e:  # whoever reads the body has nothing to do with it
                self.problem = e
        return message


class Kept:
    """A ``send`` that keeps the answer."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._code = 0
        self._headers: Headers = ()
        self._complete = False

    async def __call__(self, message: Message) -> None:
        """Take a message."""
        if message["type"] == "http.response.start":
            self._code = message["status"]
            self._headers = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in message["headers"])
        else:
            self._spool.write(message.get("body", b""))
            self._complete = not message.get("more_body", False)

    async def reply(self) -> Reply:
        """Return the whole answer, on the disk where it is long.

        Raises:
            OSError: it cannot be written.
            RuntimeError: it was broken off.
        """
        if not self._complete:
            raise RuntimeError("the response ended before it was complete")
        return Reply(self._code, self._headers, await self._spool.settled())


def reply_start(reply: Reply) -> Message:
    """Return the message that begins an answer as it was."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    return {"type": "http.response.start", "status": reply.code, "headers": headers}
