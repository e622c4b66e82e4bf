"""``multipart/form-data`` bodies (RFC 7578) as parts, read as they come, within limits.

A body is searched with ``bytes.find`` and hardly ever copied: a file goes from the body to the disk, in one write where
the whole body is there. The usual incremental parser looks at each byte and takes ten times as long for 1 MB.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Set
from enum import Enum, auto
from pathlib import Path

from ...exceptions import BadInput
from ...sdk.configuration.sections import Limits
from ...sdk.values.files import Part, safe_name
from ..errors import too_large
from .fields import MAX_HEADER_BYTES, Head, field_text, parse_head

__all__ = ["Form"]


class _At(Enum):
    PREAMBLE = auto()
    DELIMITER = auto()  # after a boundary
    HEAD = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class Form:
    """Take a body piece by piece; parts whose name is in ``files`` are written into ``folder()``, others kept.

    ``feed`` and ``parts`` raise ``BadInput`` where the body is no form with this boundary, is cut off, or has more parts
    or longer headers than allowed, or 413 where more than ``limits.body`` would have to be kept in memory.
    """

    def __init__(
        self, boundary: bytes, *, files: Set[str], folder: Callable[[], Path], limits: Limits
    ) -> None:
        self._separator = b"\r\n--" + boundary
        self._files = files
        self._folder = folder
        self._limits = limits
        self._rest = b""
        self._is_new = True
        self._at = _At.PREAMBLE
        self._head: Head | None = None
        self._kept: list[bytes] = []  # of the present part, if it stays in memory
        self.in_memory = 0  # bytes of the parts that are kept
        self._path: Path | None = None  # of the present part, if it goes to the disk
        self._parts: list[Part] = []

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        body = self._rest + data if self._rest else data
        handle = -1 if self._path is None else os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        position = 0
        try:
            while position >= 0:
                start = position
                match self._at:
                    case _At.PREAMBLE:
                        position = self._preamble(body, start)
                    case _At.DELIMITER:
                        position = self._delimiter(body, start)
                    case _At.HEAD:
                        position = self._read_head(body, start)
                        if self._path is not None:
                            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                    case _At.CONTENT:
                        end = body.find(self._separator, start)
                        self._take(
                            body, start, len(body) - len(self._separator) + 1 if end < 0 else end, handle
                        )
                        if end >= 0:
                            handle = _closed(handle)
                            self._finish()
                        position = -1 if end < 0 else end + len(self._separator)
                    case _At.EPILOGUE:
                        position = -1
        finally:
            _closed(handle)
        self._rest = self._left(body, start)

    def parts(self) -> list[Part]:
        """Return the parts, once all of the body has come."""
        match self._at:
            case _At.PREAMBLE:
                raise BadInput("the body is not a form: it does not begin with its boundary")
            case _At.DELIMITER:
                raise BadInput("the form is cut off after a boundary")
            case _At.HEAD:
                raise BadInput("the form is cut off in the headers of a part")
            case _At.CONTENT:
                raise BadInput(f"the form is cut off in its part `{self._head.name if self._head else ''}`")
        return self._parts

    # Each step returns where the next one begins, or -1 where more of the body is needed.

    def _preamble(self, body: bytes, start: int) -> int:
        """Find the first boundary: the body begins with it, or with lines that mean nothing."""
        first = self._separator[2:]
        if self._is_new and len(body) < len(first):
            return -1
        is_first = self._is_new and body.startswith(first)
        self._is_new = False
        end = -2 if is_first else body.find(self._separator, start)
        if end == -1:
            return -1
        self._at = _At.DELIMITER
        return end + len(self._separator)

    def _delimiter(self, body: bytes, start: int) -> int:
        if len(body) < start + 2:
            return -1
        if body.startswith(b"--", start):
            self._at = _At.EPILOGUE
            return -1
        end = body.find(b"\r\n", start, start + _PADDING)  # white space may follow a boundary
        if body[start : end if end >= 0 else start + _PADDING].strip(b" \t\r"):
            raise BadInput("the form is cut off after a boundary")
        if end < 0:
            if len(body) >= start + _PADDING:
                raise BadInput("the form is cut off after a boundary")
            return -1
        if len(self._parts) == self._limits.parts:
            raise BadInput(f"the form has more than {self._limits.parts} parts")
        self._at = _At.HEAD
        return end + 2

    def _read_head(self, body: bytes, start: int) -> int:
        end = body.find(b"\r\n\r\n", start, start + MAX_HEADER_BYTES)
        if end < 0:
            if len(body) >= start + MAX_HEADER_BYTES:
                raise BadInput(
                    f"a part of the form has no headers, or more than {MAX_HEADER_BYTES} bytes of them"
                )
            return -1
        self._head = head = parse_head(body[start:end])
        if head.name in self._files and head.filename is not None:
            self._path = self._folder() / f"tmp{secrets.token_hex(4)}{safe_name(head.filename)}"
        self._at = _At.CONTENT
        return end + 4

    def _take(self, body: bytes, start: int, end: int, handle: int) -> None:
        if end <= start:
            return
        if handle >= 0:
            view = memoryview(body)[start:end]
            while view:
                view = view[os.write(handle, view) :]
            return
        self.in_memory += end - start
        if self.in_memory > self._limits.body:
            raise too_large(f"the fields of the form are longer than {self._limits.body} bytes")
        self._kept.append(body[start:end])

    def _finish(self) -> None:
        assert self._head is not None
        name, filename, content_type = self._head
        data = b"".join(self._kept) if self._path is None else None
        if data is not None and filename is None:
            data = field_text(data, content_type)
        self._parts.append(Part(name, filename, content_type, data, self._path))
        self._kept = []
        self._path = None
        self._at = _At.DELIMITER

    def _left(self, body: bytes, start: int) -> bytes:
        """Return what the next piece may complete: all of a head, or the beginning of a boundary."""
        if self._at is _At.EPILOGUE:
            return b""
        if self._at in (_At.PREAMBLE, _At.CONTENT):
            start = max(start, len(body) - len(self._separator) + 1)
        return body[start:]


def _closed(handle: int) -> int:
    if handle >= 0:
        os.close(handle)
    return -1


_PADDING = 128
