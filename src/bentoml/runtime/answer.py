"""What a request is answered with: a whole body, a stream of chunks, or a Starlette response (a file, the user's own)."""

from __future__ import annotations

import asyncio

from starlette.responses import FileResponse, Response
from starlette.types import Message

from ..sdk.values.serde import FileAnswer
from .call import Call, Send
from .streams import Chunks

__all__ = ["JSON", "Answer", "Headers", "Recorder", "Stream", "file_response", "overridden"]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"

Headers = list[tuple[bytes, bytes]]

_FRAMING = (b"content-length", b"transfer-encoding")  # follow from the body alone


class Answer:
    """A whole answer in memory; ``headers`` are those besides the type, the length and the ids."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self, status: int, body: bytes, media_type: bytes = JSON, headers: Headers | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.media_type = media_type
        self.headers = headers


class Stream:
    """A stream whose first chunk is already there; ``watcher`` is cancelled when it ends."""

    __slots__ = ("chunks", "first", "headers", "media_type", "status", "watcher")

    def __init__(
        self,
        status: int,
        first: bytes | None,
        chunks: Chunks,
        media_type: bytes,
        headers: Headers | None,
        watcher: asyncio.Task[None],
    ) -> None:
        self.status = status
        self.first = first
        self.chunks = chunks
        self.media_type = media_type
        self.headers = headers
        self.watcher = watcher


def overridden(ours: Headers, theirs: Headers) -> Headers:
    """Return our headers and those that an API set, which take the place of ours, its media type above all."""
    theirs = [header for header in theirs if header[0] not in _FRAMING]
    named = {name for name, _ in theirs}
    return [header for header in ours if header[0] not in named] + theirs


def file_response(answer: FileAnswer) -> Response:
    """Return a response that streams a file from the disk.

    Raises:
        FileNotFoundError: there is no such file, which is the API's mistake.
    """
    return FileResponse(
        answer.path,
        media_type=answer.media_type,
        filename=answer.filename if answer.disposition else None,
        stat_result=answer.path.stat(),
        content_disposition_type=answer.disposition or "attachment",
    )


class Recorder:
    """A ``send`` that notes in a call what its response turned out to be; ``add`` are headers to put on one that lacks them."""

    __slots__ = ("_add", "_call", "_send")

    def __init__(self, send: Send, call: Call, add: Headers) -> None:
        self._send = send
        self._call = call
        self._add = add

    async def __call__(self, message: Message) -> None:
        """Pass one message on."""
        if message["type"] == "http.response.start":
            call = self._call
            given = list(message.get("headers", ()))
            named = {name.lower() for name, _ in given}
            headers = [*given, *(header for header in self._add if header[0] not in named)]
            message = {**message, "headers": headers}
            call.status = message["status"]
            for name, value in headers:
                if name.lower() == b"content-type":
                    call.media_type = value
                elif name.lower() == b"content-length":
                    call.length = value
        await self._send(message)
