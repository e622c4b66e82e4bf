"""The log of a running server: one format for the supervisor and its workers."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

__all__ = ["ServerFormatter", "configure"]


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


def configure(component: str, level: int, stream: TextIO | None = None) -> None:
    """Write this library's and the HTTP server's log to stdout; the root logger stays the user's own.

    Calling it again replaces the component, which a worker knows only when it has loaded its service.
    """
    handler = logging.StreamHandler(sys.stdout if stream is None else stream)
    handler.setFormatter(ServerFormatter(component))
    for name, lowest in (("bentoml", level), ("uvicorn", max(level, logging.WARNING))):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(lowest)
