"""The access log: a line for each request, formatted and written together with those of the same 10 milliseconds."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["AccessLog", "Fields", "Line"]

logger = logging.getLogger("bentoml.access")

_DELAY = 0.01  # seconds


class Fields(NamedTuple):
    """Say which optional parts a line has, and how its ids are written (the ``logging.access`` settings)."""

    request_content_length: bool = True
    request_content_type: bool = True
    response_content_length: bool = True
    response_content_type: bool = True
    trace_id: str = "032x"
    span_id: str = "016x"


class Line(NamedTuple):
    """What is known of one request when its answer has left; ``seconds`` is its duration."""

    client: tuple[str, int] | None
    scheme: str
    method: str
    path: str
    request_type: bytes
    request_length: bytes
    status: int
    response_type: bytes
    response_length: bytes
    seconds: float
    trace_id: int
    span_id: int


class AccessLog:
    """Keep lines for a moment, then give them to the log in one piece.

    Where the logger ``bentoml.access`` has handlers of its own (the user configured it), each line goes to them as a
    record; otherwise the lines are written to ``write`` at once, in the form of the server's log.
    """

    def __init__(
        self,
        service: str,
        *,
        component: str,
        fields: Fields,
        loop: asyncio.AbstractEventLoop,
        write: Callable[[str], object] | None = None,
    ) -> None:
        self._service = service
        self._component = component
        self._fields = fields
        self._loop = loop
        self._write = write or _to_stdout
        self._lines: list[Line] = []
        atexit.register(self.flush)

    def append(self, line: Line) -> None:
        """Note a line; it is written within 10 milliseconds, or when the process ends."""
        if not self._lines:
            self._loop.call_later(_DELAY, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what is there."""
        lines, self._lines = self._lines, []
        if not lines or not logger.isEnabledFor(logging.INFO):
            return
        if logger.handlers:  # the user configured this logger
            for line in lines:
                logger.info("%s", self._text(line))
            return
        prefix = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} [INFO] [{self._component}] "
        self._write("".join([f"{prefix}{self._text(line)}\n" for line in lines]))

    def close(self) -> None:
        """Write what is there, for good."""
        self.flush()
        atexit.unregister(self.flush)

    def _text(self, line: Line) -> str:
        f = self._fields
        client = "%s:%d" % line.client if line.client else "-"  # noqa: UP031  # twice as fast for a tuple
        request = f"scheme={line.scheme},method={line.method},path={_printable(line.path)}"
        if f.request_content_type:
            request += f",type={_text(line.request_type)}"
        if f.request_content_length:
            request += f",length={_text(line.request_length)}"
        response = f"status={line.status}"
        if f.response_content_type:
            response += f",type={_text(line.response_type)}"
        if f.response_content_length:
            response += f",length={_text(line.response_length)}"
        trace = f"trace={line.trace_id:{f.trace_id}},span={line.span_id:{f.span_id}},sampled=0"
        milliseconds = line.seconds * 1000
        return (
            f"{client} ({request}) ({response}) {milliseconds:.3f}ms ({trace},service.name={self._service})"
        )


def _text(value: bytes) -> str:
    return _printable(value.decode("latin-1"))


def _printable(text: str) -> str:
    """Return text of the client that cannot forge a line of the log."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
