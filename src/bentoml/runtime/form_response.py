"""An answer of several parts as a response: ``multipart/form-data`` (RFC 7578), files read from the disk as they are sent."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..sdk.values.form_answer import AnswerPart, FormAnswer
from ..sdk.values.part_names import escaped

__all__ = ["FormResponse"]

_PIECE = 1 << 18  # bytes of a file that are in memory at once


class FormResponse(Response):
    """Send the parts of a form; the length is known before the first byte is sent.

    Raises:
        FileNotFoundError: there is no such file, which is the API's mistake.
    """

    def __init__(self, answer: FormAnswer) -> None:
        boundary = secrets.token_hex(16)
        self._parts = [(_head(part, boundary), part.content) for part in answer.parts]
        self._end = f"--{boundary}--\r\n".encode()
        length = sum(len(head) + _size(content) + 2 for head, content in self._parts) + len(self._end)
        super().__init__(
            headers={
                "content-type": f"multipart/form-data; boundary={boundary}",
                "content-length": str(length),
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for head, content in self._parts:
            await send({"type": "http.response.body", "body": head, "more_body": True})
            if isinstance(content, Path):
                async for piece in _pieces(content):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"\r\n", "more_body": True})
            else:
                await send({"type": "http.response.body", "body": content + b"\r\n", "more_body": True})
        await send({"type": "http.response.body", "body": self._end})


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(_PIECE):
            yield piece


def _head(part: AnswerPart, boundary: str) -> bytes:
    filename = "" if part.filename is None else f'; filename="{escaped(part.filename)}"'
    lines = (
        f"--{boundary}",
        f'content-disposition: form-data; name="{escaped(part.name)}"{filename}',
        f"content-type: {part.media_type}",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode(errors="replace")


def _size(content: bytes | Path) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)
