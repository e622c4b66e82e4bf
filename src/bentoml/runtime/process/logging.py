"""The log of a running server: one format for the supervisor and its workers."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import datetime
from typing import Any, NamedTuple, TextIO

__all__ = ["JsonFormatter", "ServerFormatter", "Trace", "configure"]


class Trace(NamedTuple):
    """Say which request a record is about: what is given to the log as ``extra={"trace": ...}``."""

    trace_id: str
    span_id: str
    sampled: int
    service: str

    def __str__(self) -> str:
        return (
            f" (trace={self.trace_id},span={self.span_id},sampled={self.sampled},service.name={self.service})"
        )


class ServerFormatter(logging.Formatter):
    """Write ``<time> [LEVEL] [<component>] <message><trace>``; ``trace`` is what a record carries under that name."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component
        self._second = -1
        self._stamp = ""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without a traceback."""
        trace = getattr(record, "trace", "")
        return f"{self._time(record)} [{record.levelname}] [{self._component}] {record.message}{trace}"

    def _time(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:  # a busy server writes thousands of lines in a second
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(second))
        return self._stamp


class JsonFormatter(logging.Formatter):
    """Write one JSON object a line, with the traceback in it and the ids of the request that a record is about."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time,
            "level": record.levelname,
            "logger": record.name,
            "component": self._component,
            "message": record.getMessage(),
        }
        trace = getattr(record, "trace", None)
        if isinstance(trace, Trace):
            line |= {"trace_id": trace.trace_id, "span_id": trace.span_id, "sampled": bool(trace.sampled)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, separators=(",", ":"))


def configure(component: str, level: int, stream: TextIO | None = None, *, as_json: bool = False) -> None:
    """Write this library's and the HTTP server's log to stdout; the root logger stays the user's own.

    Calling it again replaces the component, which a worker knows only when it has loaded its service.
    """
    handler = logging.StreamHandler(sys.stdout if stream is None else stream)
    handler.setFormatter(JsonFormatter(component) if as_json else ServerFormatter(component))
    for name, lowest in (("bentoml", level), ("uvicorn", max(level, logging.WARNING))):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(lowest)
    for name, known in list(logging.root.manager.loggerDict.items()):
        if isinstance(known, logging.Logger) and name.partition(".")[0] in ("bentoml", "uvicorn"):
            known.disabled = (
                False  # by a configuration of the user's that disables all loggers that it does not name
            )
