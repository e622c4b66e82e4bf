"""Reverse proxy: an ASGI application that passes requests on to another server of this machine, in pieces both ways."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

import httpx2
from starlette.types import Message, Receive, Scope, Send

__all__ = ["ReverseProxy"]

logger = logging.getLogger(__name__)

Header = tuple[bytes, bytes]

# What is between two servers and not between the caller and the program (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_WHO_ASKS = frozenset({b"host", b"forwarded", b"x-real-ip"})  # and all `X-Forwarded-*`
_UNAVAILABLE = b"Upstream service unavailable."
_CONNECT = 5.0
_GOING_AWAY = 1001
_FAILED = 1011
_BROKEN = 1006  # says that there was no closing; nobody may send it (RFC 6455, 7.4.1)


class ReverseProxy:
    """Answer by what another server answers; ``health`` is its page that says whether it is well."""

    def __init__(self, upstream: str, health: str) -> None:
        self.upstream = upstream
        self.health = health
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(None, connect=_CONNECT), limits=limits, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def status(self, timeout: float = _CONNECT) -> int:
        """Return the status of the health page; ``httpx2.TransportError`` where nobody answers."""
        return (await self._client.get(self.upstream + self.health, timeout=timeout)).status_code

    async def is_ready(self, timeout: float) -> bool:
        """Tell whether the other server is well."""
        try:
            return await self.status(timeout) < 400
        except httpx2.TransportError:
            return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or connect one websocket."""
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(scope, receive)
        request = httpx2.Request(
            scope["method"],
            _url(self.upstream, scope),
            headers=_passed_on(scope["headers"], scope),
            content=body.pieces() if body.is_there else None,
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx2.TransportError as e:
            if not body.is_gone:
                logger.error("the program of the service cannot be reached: %r", e)
                await _refuse(send)
            return
        try:
            await self._pass_back(response, body, send)
        finally:
            await response.aclose()

    async def _pass_back(self, response: httpx2.Response, body: _Body, send: Send) -> None:
        """Send the answer on as it comes, until its end or that of the client."""
        headers = [(n.lower(), v) for n, v in response.headers.raw if n.lower() not in _HOP_BY_HOP]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        sending = asyncio.create_task(_send_body(response, send))
        leaving = asyncio.create_task(body.until_gone())
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Connect a websocket of the client with one of the program."""
        await receive()  # websocket.connect
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import WebSocketException
        except ImportError:
            logger.error("websockets are not passed on: install `websockets`")
            return await send({"type": "websocket.close", "code": _FAILED})
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in _passed_on(scope["headers"], scope)
            if not name.startswith(b"sec-websocket-")
        ]
        try:
            upstream = await connect(
                str(_url(self.upstream, scope)).replace("http", "ws", 1),
                additional_headers=headers,
                subprotocols=scope.get("subprotocols") or None,
                user_agent_header=None,
                proxy=None,
                max_size=None,
            )
        except (OSError, WebSocketException) as e:
            logger.error("the program of the service takes no websocket: %s", e)
            return await send({"type": "websocket.close", "code": _FAILED})
        async with upstream:
            await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
            await _talk(upstream, receive, send)


class _Body:
    """The body of a request, passed on piece by piece, and the client's end."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        names = {name for name, _ in scope["headers"]}
        self.is_there = b"content-length" in names or b"transfer-encoding" in names
        self.is_gone = False
        self._receive = receive
        self._is_whole = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body; a client that goes away ends the request with an error, so that nobody takes it for whole."""
        while not self._is_whole:
            message = await self._next()
            if self.is_gone:
                raise httpx2.WriteError("the client is gone")
            if message.get("body"):
                yield message["body"]

    async def until_gone(self) -> None:
        """Return when the client goes away; of a body that the program did not want, the rest is dropped."""
        while not self.is_gone:
            await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self.is_gone = message["type"] == "http.disconnect"
        self._is_whole = self._is_whole or not message.get("more_body", False)
        return message


async def _send_body(response: httpx2.Response, send: Send) -> None:
    async for piece in response.aiter_raw():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _refuse(send: Send) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(_UNAVAILABLE)),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _UNAVAILABLE})


async def _talk(upstream: Any, receive: Receive, send: Send) -> None:
    """Pass messages on both ways until one side closes or breaks; the other is told how."""

    async def to_program() -> None:
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            await upstream.send(message["bytes"] if text is None else text)
        await upstream.close(message.get("code") or _GOING_AWAY)

    async def to_client() -> None:
        async for message in upstream:
            await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})

    coming, going = asyncio.create_task(to_program()), asyncio.create_task(to_client())
    try:
        await asyncio.wait({coming, going}, return_when=asyncio.FIRST_COMPLETED)
        if going.done() or coming.exception() is not None:  # it was not the client who closed
            await upstream.close()
            code = upstream.close_code or _FAILED
            await send(
                {
                    "type": "websocket.close",
                    "code": code if code != _BROKEN else _FAILED,
                    "reason": upstream.close_reason or "",
                }
            )
    finally:
        for way in (coming, going):
            way.cancel()
        await asyncio.gather(
            coming, going, return_exceptions=True
        )  # what broke is a connection, which is over


def _url(upstream: str, scope: Scope) -> httpx2.URL:
    """Return the address of the same page of the other server, which knows nothing of our path prefix."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    path = path.removeprefix(scope.get("root_path", "").encode()) or b"/"
    query: bytes = scope["query_string"]
    return httpx2.URL(upstream).copy_with(raw_path=path + b"?" + query if query else path)


def _passed_on(headers: Iterable[Header], scope: Scope) -> list[Header]:
    """Return the headers for the other server, which learns who asks by the usual ``X-Forwarded-*``.

    What a caller says of that itself is dropped, also in the spellings that some programs take for the same: CGI and
    WSGI know no difference between ``X-Forwarded-For`` and ``X_Forwarded_For``.
    """
    given = list(headers)
    named = {n.strip().lower() for name, value in given if name == b"connection" for n in value.split(b",")}
    dropped = _HOP_BY_HOP | named | _WHO_ASKS
    usual = ((n.replace(b"_", b"-"), n, v) for n, v in given)
    kept = [(n, v) for u, n, v in usual if not {u, n} & dropped and not u.startswith(b"x-forwarded-")]
    host = next((value for name, value in given if name == b"host"), b"")
    client = scope.get("client")
    kept += [(b"x-forwarded-host", host), (b"x-forwarded-proto", scope["scheme"].encode())]
    return kept + ([(b"x-forwarded-for", client[0].encode())] if client else [])
