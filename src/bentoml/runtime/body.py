"""The body of a request: read within a limit, and turned into the arguments of an API by its media type."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pydantic
from starlette.types import Message

from ..exceptions import BadInput, BentoMLException
from ..sdk.npy import NPY
from ..sdk.serde import Input
from .call import Call, Receive
from .errors import InvalidInput
from .multipart import boundary_of, parse_multipart, parse_urlencoded

__all__ = ["decode", "read_body", "whole_body"]

_NPY = NPY.encode()


def whole_body(message: Message, limit: int) -> bytes | None:
    """Return the body where all of it came with the first message, which most do.

    Raises:
        BentoMLException: 413, it is longer than the server takes.
    """
    body: bytes = message.get("body", b"")
    if len(body) > limit:
        raise _too_large(limit)
    return None if message.get("more_body") or message["type"] != "http.request" else body


async def read_body(call: Call, message: Message, receive: Receive) -> bytes:
    """Read the whole body, of which the first message came.

    Raises:
        BentoMLException: 413, it is longer than the server takes; or 400, the client went away.
    """
    limit = call.server.max_body
    length = call.headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)
        message = await receive()
    raise BadInput("the client went away before the request was complete")


def decode(call: Call, input: Input, body: bytes) -> dict[str, Any]:
    """Return the arguments that a body holds, by its media type; what has no known type is read as JSON.

    Raises:
        InvalidInput: the body does not fit.
        BentoMLException: 415, the media type is one that this server never reads.
    """
    content_type = call.headers.get(b"content-type", b"")
    try:
        if content_type == b"application/json" and not input.is_raw:
            return input.from_json(body)
        return _decode(call, input, body, content_type)
    except pydantic.ValidationError as e:
        raise InvalidInput(e) from e


def _decode(call: Call, input: Input, body: bytes, content_type: bytes) -> dict[str, Any]:
    media_type = content_type.partition(b";")[0].strip().lower()
    if b"pickle" in media_type:
        raise BentoMLException(
            "pickled bodies are not allowed: this server never reads them",
            error_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    if media_type == _NPY and not input.is_raw:
        return input.from_npy(body)
    if media_type == b"multipart/form-data":
        parts = parse_multipart(body, boundary_of(content_type), files=input.files, folder=call.temp_dir)
        return input.from_parts(parts, call.temp_dir)
    if input.is_raw:
        return input.from_raw(body, media_type.decode("latin-1"), call.temp_dir)
    if media_type == b"application/x-www-form-urlencoded" and not body.lstrip().startswith((b"{", b"[")):
        return input.from_parts(parse_urlencoded(body), call.temp_dir)
    return input.from_json(body)


def _too_large(limit: int) -> BentoMLException:
    return BentoMLException(
        f"the body is longer than {limit} bytes", error_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    )
