"""What goes wrong, as the server answers it: one shape for all errors, one description for each status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .schemas import Json, reference

if TYPE_CHECKING:
    from ..service import Service

__all__ = ["PLAIN_TEXT", "Errors", "error_responses", "ids"]

PLAIN_TEXT: Json = {"text/plain": {"schema": {"type": "string"}}}

_ERRORS = {
    "400": ("InvalidArgument", "The input is not acceptable; `detail` says where and why."),
    "401": ("Unauthorized", "The request says not, or not rightly, who sends it."),
    "403": ("Forbidden", "The sender, or the page in whose name a browser sends, may not do this."),
    "404": ("NotFound", "What was asked for does not exist."),
    "413": ("RequestTooLarge", "The body, or a part of it, is larger than the server takes."),
    "415": ("UnsupportedMediaType", "The body is of a media type that the server never reads."),
    "422": ("UnprocessableEntity", "The service understands the input, and cannot work on it."),
    "429": ("TooManyRequests", "The service works on as many requests as it may; try again later."),
    "500": ("InternalServerError", "The service failed; its log says why."),
    "503": ("ServiceUnavailable", "The service cannot answer now; try again later."),
    "504": ("Timeout", "The service did not answer in time."),
}
_OF_AUTH = ("401",)
_HEADERS = {
    "401": {"WWW-Authenticate": {"description": "How to say who you are.", "schema": {"type": "string"}}},
    "429": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}


@dataclass(frozen=True)
class Errors:
    """The errors of one service's operations; ``auth``: callers must say who they are."""

    auth: bool

    def of_api(self) -> Json:
        """Return those of an API."""
        return self.of(*(status for status in _ERRORS if self.auth or status not in _OF_AUTH))

    def of_page(self) -> Json:
        """Return those of a page that is not open to everybody."""
        return self.of("401") if self.auth else {}

    def of(self, *statuses: str) -> Json:
        """Return those of these statuses."""
        return {s: {"$ref": f"#/components/responses/{_ERRORS[s][0]}"} for s in statuses}


def error_responses(errors: Errors) -> Json:
    """Return the responses that operations refer to."""
    content = {"application/json": {"schema": reference("Error")}}
    return {
        name: {"description": about, "content": content} | _headers(status)
        for status, (name, about) in _ERRORS.items()
        if status in errors.of_api()
    }


def ids(service: Service[Any]) -> Json:
    """Return the headers that name a request."""
    text = {"schema": {"type": "string"}}
    headers: Json = {"x-bentoml-request-id": {"description": "The request, as the log names it.", **text}}
    if service.settings.http.response.trace_id:
        headers["x-bentoml-trace-id"] = {"description": "The trace that the request is part of.", **text}
    return headers


def _headers(status: str) -> Json:
    return {"headers": _HEADERS[status]} if status in _HEADERS else {}
