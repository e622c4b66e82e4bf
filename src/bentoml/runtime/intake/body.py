"""The body of a request: read within its limits, and turned into the arguments of an API by its media type."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import pydantic
from starlette.types import Message

from ...exceptions import BadInput, BentoMLException
from ...sdk.values.files import Part
from ...sdk.values.npy import NPY
from ...sdk.values.serde import Input
from ..call import Call, Receive
from ..errors import InvalidInput, too_large
from .fields import boundary_of, field_text, parse_urlencoded
from .multipart import Form
from .nesting import is_deeper

__all__ = [
    "SHORT",
    "Body",
    "Decoded",
    "Upload",
    "check_length",
    "decode",
    "is_form",
    "is_long",
    "parse_form",
    "read_body",
    "whole_body",
]

_NPY = NPY.encode()
_WHOLE = 2 << 20  # bytes of a form that are read as one piece
SHORT = 256 << 10  # bytes of any body that take no time to read
_DIGITS = 20  # of the largest length that HTTP parsers take; with zeros before it, it may have more
_WINDOW = 256 << 10  # bytes that go to the disk at once, in a thread


class Upload(NamedTuple):
    """A form that was written to the disk as it came."""

    parts: list[Part]


class Decoded(NamedTuple):
    """A body that has been read already, as the arguments that it holds."""

    arguments: dict[str, Any]


Body = bytes | Upload


def is_long(call: Call, body: Body) -> bool:
    """Tell whether reading a body takes so long that nobody should wait for it."""
    return not isinstance(body, bytes) or len(body) > (
        _WHOLE if len(body) > SHORT and is_form(call) else SHORT
    )


def whole_body(message: Message, limit: int) -> bytes | None:
    """Return the body where all of it came with the first message, and is not too long for anything; most are so."""
    body: bytes = message.get("body", b"")
    if message.get("more_body") or message["type"] != "http.request" or len(body) > limit:
        return None
    return body


def check_length(call: Call) -> None:
    """Refuse a body that says itself that it is too long, before any of it comes.

    Raises:
        BentoMLException: 413.
    """
    limit = call.server.limits.upload if is_form(call) else call.server.limits.body
    length = call.headers.get(b"content-length", b"")
    if length.isdigit() and (len(length) > _DIGITS or int(length) > limit):
        raise _too_long(limit)


async def read_body(call: Call, message: Message, receive: Receive, input: Input) -> Body:
    """Read the whole body, of which the first message came; a large form goes to the disk as it comes.

    Raises:
        BentoMLException: 413, it is longer than the server takes; 400, it is no form, or the client went away; or 503,
            there is no room for it besides others.
    """
    limits = call.server.limits
    is_upload = is_form(call)
    limit = limits.upload if is_upload else limits.body
    check_length(call)
    form = None
    pieces: list[bytes] = []
    size = waiting = 0
    while message["type"] == "http.request":
        piece = message.get("body", b"")
        size += len(piece)
        waiting += len(piece)
        if size > limit:
            raise _too_long(limit)
        pieces.append(piece)
        call.keep(waiting + (0 if form is None else form.in_memory))
        is_last = not message.get("more_body", False)
        if is_upload and form is None and size > _WHOLE:
            form = _form(call, input)
        if form is None and is_last:
            return b"".join(pieces)
        if form is not None and (is_last or waiting > _WINDOW):
            await _to_disk(call, form, b"".join(pieces))
            pieces, waiting = [], 0
            call.keep(form.in_memory)
            if is_last:
                return Upload(form.parts())
        message = await receive()
    raise BadInput("the client went away before the request was complete")


def decode(call: Call, input: Input, body: Body | Decoded) -> dict[str, Any]:
    """Return the arguments that a body holds, by its media type; what has no known type is read as JSON.

    Raises:
        InvalidInput: the body does not fit.
        BentoMLException: 415, the media type or the content encoding is one that this server never reads.
    """
    if isinstance(body, Decoded):
        return body.arguments
    headers = call.headers
    content_type = headers.get(b"content-type", b"")
    if b"content-encoding" in headers:
        _check_encoding(headers[b"content-encoding"])
    try:
        if content_type == b"application/json" and not input.is_raw and type(body) is bytes:
            return _from_json(call, input, body)
        return _decode(call, input, body, content_type)
    except pydantic.ValidationError as e:
        raise InvalidInput(e) from e


def _decode(call: Call, input: Input, body: Body, content_type: bytes) -> dict[str, Any]:
    limits = call.server.limits
    if isinstance(body, Upload):
        return _from_parts(call, input, body.parts)
    media_type = _media_type(content_type)
    if b"pickle" in media_type:
        raise _unsupported(f"{media_type.decode('latin-1')} is not allowed in main server")
    if media_type == _NPY and not input.is_raw:
        return input.from_npy(body)
    if media_type == b"multipart/form-data":
        return _from_parts(call, input, parse_form(call, input, body))
    if input.is_raw:
        if input.is_text:
            body = field_text(body, content_type.decode("latin-1"))
        return input.from_raw(body, media_type.decode("latin-1"), call.temp_dir)
    if media_type == b"application/x-www-form-urlencoded" and not body.lstrip().startswith((b"{", b"[")):
        return _from_parts(call, input, parse_urlencoded(body, limits.parts))
    return _from_json(call, input, field_text(body, content_type.decode("latin-1")))


def _from_json(call: Call, input: Input, body: bytes) -> dict[str, Any]:
    arguments = input.from_json(body)
    _check_depth(body, call.server.limits.depth)  # by now it is known to be JSON
    return arguments


def _from_parts(call: Call, input: Input, parts: Sequence[Part]) -> dict[str, Any]:
    arguments = input.from_parts(parts, call.temp_dir)
    for part in parts:
        if part.data is not None and part.data[:1] in (b"[", b"{"):
            _check_depth(part.data, call.server.limits.depth)
    return arguments


def _check_depth(text: bytes, limit: int) -> None:
    if len(text) > limit and is_deeper(text, limit):
        raise BadInput(f"the JSON is nested more than {limit} levels deep")


def is_form(call: Call) -> bool:
    """Tell whether a request says that its body is ``multipart/form-data``."""
    return _media_type(call.headers.get(b"content-type", b"")) == b"multipart/form-data"


def parse_form(call: Call, input: Input, body: bytes) -> list[Part]:
    """Return the parts of a form that is whole."""
    form = _form(call, input)
    form.feed(body)
    return form.parts()


def _form(call: Call, input: Input) -> Form:
    boundary = boundary_of(call.headers.get(b"content-type", b""))
    return Form(boundary, files=input.files, folder=call.temp_dir, limits=call.server.limits)


async def _to_disk(call: Call, form: Form, data: bytes) -> None:
    """Let a thread write, as a disk may be slow; if nobody waits for it any more, it gives the folder back itself."""
    call.job = call.server.disk.submit(form.feed, data, abandoned=call.release)
    await call.job


def _media_type(content_type: bytes) -> bytes:
    return content_type.partition(b";")[0].strip().lower()


def _check_encoding(encoding: bytes) -> None:
    if encoding.strip().lower() not in (b"", b"identity"):
        shown = encoding.decode("latin-1")
        raise _unsupported(f"bodies with the content encoding `{shown}` are not read; send the body as it is")


def _unsupported(message: str) -> BentoMLException:
    return BentoMLException(message, error_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


def _too_long(limit: int) -> BentoMLException:
    return too_large(f"the body is longer than {limit} bytes")
