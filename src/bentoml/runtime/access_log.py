"""The access log: a line for each request, formatted and written together with those of the same 10 milliseconds."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["AccessLog", "Entry", "Fields"]

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


# What is known of one request when its answer has left: the ASGI scope, its headers, the trace and span ids; status,
# media type and length of the answer; the duration in seconds. A plain tuple: there is one for each request.
Entry = tuple[Mapping[str, Any], Mapping[bytes, bytes], int, int, int, bytes, bytes, float]


class AccessLog:
    """Keep entries for a moment, then give them to the log in one piece.

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
        self._line = _template(fields, service)
        self._component = component
        self._loop = loop
        self._write = write or _to_stdout
        self._entries: list[Entry] = []
        atexit.register(self.flush)

    def append(self, entry: Entry) -> None:
        """Note a request; its line is written within 10 milliseconds, or when the process ends."""
        if not self._entries:
            self._loop.call_later(_DELAY, self.flush)
        self._entries.append(entry)

    def flush(self) -> None:
        """Write what is there."""
        entries, self._entries = self._entries, []
        if not entries or not logger.isEnabledFor(logging.INFO):
            return
        lines = [self._line % _values(entry) for entry in entries]
        if logger.handlers:
            for line in lines:
                logger.info("%s", line)
            return
        prefix = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} [INFO] [{self._component}] "
        self._write(prefix + f"\n{prefix}".join(lines) + "\n")

    def close(self) -> None:
        """Write what is there, for good."""
        self.flush()
        atexit.unregister(self.flush)


def _template(fields: Fields, service: str) -> str:
    """Return the format of a line; ``%.0s`` takes a value and writes nothing, where a field is not wanted."""
    return (
        "%s:%d (scheme=%s,method=%s,path=%s"
        + (",type=%s" if fields.request_content_type else "%.0s")
        + (",length=%s" if fields.request_content_length else "%.0s")
        + ") (status=%d"
        + (",type=%s" if fields.response_content_type else "%.0s")
        + (",length=%s" if fields.response_content_length else "%.0s")
        + f") %.3fms (trace=%{fields.trace_id},span=%{fields.span_id},sampled=0,service.name="
        + service.replace("%", "%%")
        + ")"
    )


def _values(entry: Entry) -> tuple[object, ...]:
    scope, headers, trace_id, span_id, status, media_type, length, seconds = entry
    host, port = scope.get("client") or ("-", 0)
    return (
        host,
        port,
        scope["scheme"],
        scope["method"],
        _printable(scope["path"]),
        _printable(headers.get(b"content-type", b"").decode("latin-1")),
        _printable(headers.get(b"content-length", b"").decode("latin-1")),
        status,
        media_type.decode("latin-1"),
        length.decode("latin-1"),
        seconds * 1000,
        trace_id,
        span_id,
    )


def _printable(text: str) -> str:
    """Return text of the client so that it cannot forge a line of the log."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
