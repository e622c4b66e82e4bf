"""Failures: what a server refused, and connections that failed, as the exceptions that they stand for."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from ..exceptions import BentoMLException, ServiceUnavailable
from .deep_json import loads

__all__ = ["BrokenConnection", "Unreachable", "failure"]


class Unreachable(ServiceUnavailable):
    """No connection came about: nothing was sent."""


class BrokenConnection(ServiceUnavailable):
    """The connection ended before the answer did; the server may have done what was asked."""


def failure(status: int, body: bytes, url: str) -> BentoMLException:
    """Return the exception for an answer with an error status.

    Its class is the one that has the status as its ``error_code``, else ``BentoMLException``; its message is the
    ``error`` text of a service's JSON, with where and why an input did not fit, or the body as it is. The body
    itself is the attribute ``body``.
    """
    code = _status(status)
    kind = BentoMLException.error_mapping.get(code, BentoMLException)
    error = kind.__new__(kind)  # a class of the user's may want other arguments than a message
    BentoMLException.__init__(error, _message(status, body, url), error_code=code)
    error.body = body
    return error


def _status(status: int) -> HTTPStatus:
    """Return the status as the standard names it; the first of its hundred for one that it does not name."""
    try:
        return HTTPStatus(status)
    except ValueError:
        return HTTPStatus.BAD_REQUEST if status < 500 else HTTPStatus.INTERNAL_SERVER_ERROR


def _message(status: int, body: bytes, url: str) -> str:
    text = body.decode(errors="replace").strip()
    try:
        value = loads(text)
    except ValueError:
        return text or f"`{url}` answered with status {status} and no message"
    first = (
        value[0] if isinstance(value, list) and value else value
    )  # BentoML 1.x wraps some errors in a list
    if not isinstance(first, dict) or not isinstance(first.get("error"), str):
        return text
    details = first.get("detail")
    lines = [_detail(d) for d in details if isinstance(d, dict)] if isinstance(details, list) else []
    return "\n".join([first["error"], *lines])


def _detail(detail: dict[str, Any]) -> str:
    location = detail.get("loc")
    where = ".".join(str(part) for part in location) if isinstance(location, list) else ""
    why = str(detail.get("msg", ""))
    return f"  {where}: {why}" if where else f"  {why}"
