"""Which answer each error becomes: the one place of the runtime that chooses a status and what a caller is told."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any

import pydantic

from ..exceptions import BadInput, BentoMLException

__all__ = [
    "FOREIGN",
    "GENERIC",
    "HIDDEN",
    "RAISED",
    "InvalidInput",
    "error_body",
    "of_exception",
    "too_large",
    "users_traceback",
]

# Whose frames come before those of the user's code.
_MACHINERY = (
    f"{Path(__file__).parents[1]}/",
    f"{Path(asyncio.__file__).parent}/",
    f"{Path(importlib.__file__).parent}/",
    contextlib.__file__,
    "uvloop/",
    "<frozen ",
)

# What the user's code may raise as an error of one request: the last two would end the event loop, and so the server.
RAISED = (Exception, SystemExit, KeyboardInterrupt)
GENERIC = "An unexpected error has occurred, please check the server log."
HIDDEN = "Authorization error"


class InvalidInput(BadInput):
    """The input of an API does not fit; ``detail`` says where, without the values that were sent."""

    def __init__(self, error: pydantic.ValidationError) -> None:
        super().__init__(f"{error.error_count()} validation error for {error.title}")
        self.detail = error.errors(include_input=False, include_context=False)


def of_exception(error: BaseException) -> tuple[int, bytes]:
    """Return status and body for an error that an API raised.

    Only a BentoMLException with a 4xx code speaks to the caller; anything else is told to the log alone.
    """
    if not isinstance(error, BentoMLException):
        return 500, error_body(GENERIC)
    status = HTTPStatus(error.error_code)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return status, error_body(HIDDEN)
    if isinstance(error, InvalidInput):
        return status, error_body(error.message, detail=error.detail)
    if 400 <= status < 500:
        return status, error_body(error.message)
    return (status if status >= 500 else 500), error_body(GENERIC)


def too_large(message: str) -> BentoMLException:
    """Return the error of a request that is over a limit of its size."""
    return BentoMLException(message, error_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def error_body(message: str, **more: Any) -> bytes:
    """Return the JSON body of an error."""
    return json.dumps({"error": message, **more}, separators=(",", ":")).encode()


def users_traceback(error: BaseException) -> TracebackType | None:
    """Return the traceback of an error from where it enters the user's code; all of it where it never does."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename.startswith(_MACHINERY):
        start = start.tb_next
    if start is None and not isinstance(error, SyntaxError):  # which says itself where it is
        start = error.__traceback__
    return start


FOREIGN = error_body(
    "requests of this origin, or for this host, are not allowed; `http.cors` can allow an origin"
)
