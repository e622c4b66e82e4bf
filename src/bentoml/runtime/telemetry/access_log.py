"""The access log: a line for each request, formatted and written together with those of the same 10 milliseconds."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

__all__ = ["AccessLog", "Entry", "Fields"]

logger = logging.getLogger("bentoml.access")

_DELAY = 0.01  # seconds
_REMEMBERED = 512  # characters of what a client says of a request, up to which its part of the line is kept
_NOBODY = ("-", 0)  # the client of a socket that has no address


class Fields(NamedTuple):
    """Say which optional parts a line has, and how it is written (the ``logging.access`` settings)."""

    request_content_length: bool = True
    request_content_type: bool = True
    response_content_length: bool = True
    response_content_type: bool = True
    trace_id: str = "032x"
    span_id: str = "016x"
    as_json: bool = False


# What is kept of a request until its line is written: address and port of the client, scheme, method and path, media type
# and length of the body; status, media type and length of the answer; milliseconds; trace and span ids, and 1 where they are
# exported. A plain tuple of plain values: it is the only thing of a request that outlives it, so all other memory is used again
# while it is in the cache.
Entry = tuple[
    tuple[str, int] | None, str, str, str, bytes, bytes, int, bytes, bytes, float, int, int, int
]  # fmt: skip


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
        self._about = _about(fields)
        self._line = (
            f"%s:%d %s %.3fms (trace=%{fields.trace_id},span=%{fields.span_id},sampled=%d,"
            f"service.name={service.replace('%', '%%')})"
        )
        self._fields = fields
        self._service = service
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
        lines = self._objects(entries) if self._fields.as_json else self._lines(entries)
        if logger.handlers:
            for line in lines:
                logger.info("%s", line)
            return
        if self._fields.as_json:
            self._write("\n".join(lines) + "\n")
            return
        prefix = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} [INFO] [{self._component}] "
        self._write(prefix + f"\n{prefix}".join(lines) + "\n")

    def _lines(self, entries: list[Entry]) -> list[str]:
        form, about = self._line, self._about
        lines = []
        for entry in entries:
            host, port = entry[0] or _NOBODY
            lines.append(form % (_printable(host), port, about(*entry[1:9]), *entry[9:]))
        return lines

    def _objects(self, entries: list[Entry]) -> list[str]:
        """Return a JSON object for each entry; whatever is in it, it is one line."""
        time = datetime.now().astimezone().isoformat(timespec="milliseconds")
        first = {"time": time, "level": "INFO", "logger": logger.name, "component": self._component}
        return [orjson.dumps({**first, **self._object(entry)}).decode() for entry in entries]

    def _object(self, entry: Entry) -> dict[str, Any]:
        fields = self._fields
        (
            client,
            scheme,
            method,
            path,
            sent,
            sent_length,
            status,
            media_type,
            length,
            ms,
            trace,
            span,
            sampled,
        ) = entry
        host, port = client or _NOBODY
        optional = (
            ("request_type", fields.request_content_type, sent),
            ("request_length", fields.request_content_length, sent_length),
            ("response_type", fields.response_content_type, media_type),
            ("response_length", fields.response_content_length, length),
        )
        about = {name: _json_value(name, value) for name, wanted, value in optional if wanted and value}
        return {
            "client": f"{host}:{port}",
            "scheme": scheme,
            "method": method,
            "path": path.encode(errors="backslashreplace").decode(),
            "status": status,
            **about,
            "duration_ms": round(ms, 3),
            "trace_id": f"%{fields.trace_id}" % trace,
            "span_id": f"%{fields.span_id}" % span,
            "sampled": bool(sampled),
            "service": self._service,
        }

    def close(self) -> None:
        """Write what is there, for good."""
        self.flush()
        atexit.unregister(self.flush)


def _about(fields: Fields) -> Callable[..., str]:
    """Return the function that writes the middle of a line, which is the same for most requests."""

    def shown(
        scheme: str, method: str, path: str, sent: bytes, sent_length: bytes, status: int, media_type: bytes, length: bytes
    ) -> str:  # fmt: skip
        request = f"scheme={scheme},method={method},path={_printable(path)}"
        if fields.request_content_type:
            request += f",type={_printable(sent.decode('latin-1'))}"
        if fields.request_content_length:
            request += f",length={_printable(sent_length.decode('latin-1'))}"
        response = f"status={status}"
        if fields.response_content_type:
            response += f",type={_printable(media_type.decode('latin-1'))}"
        if fields.response_content_length:
            response += f",length={_printable(length.decode('latin-1'))}"
        return f"({request}) ({response})"

    remembered = lru_cache(maxsize=1024)(shown)

    def about(*entry: Any) -> str:
        path, sent, length = entry[2:5]
        is_short = (
            len(path) + len(sent) + len(length) <= _REMEMBERED
        )  # else anybody could fill the memory with them
        return (remembered if is_short else shown)(*entry)

    return about


def _printable(text: str) -> str:
    """Return text of the client so that it cannot forge a line of the log."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _json_value(name: str, value: bytes) -> str | int:
    text = value.decode("latin-1")
    return int(text) if name.endswith("length") and text.isascii() and text.isdigit() else text


def _to_stdout(text: str) -> None:
    with suppress(OSError):  # who read the log is gone, or the disk is full; the requests go on
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:  # a terminal of old
            sys.stdout.write(text.encode("ascii", "backslashreplace").decode())
        sys.stdout.flush()
