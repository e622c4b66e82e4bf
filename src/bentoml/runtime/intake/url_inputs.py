"""Files that a request names by their address, for an API that says that it takes them so."""

from __future__ import annotations

from pathlib import Path

import orjson

from ...exceptions import BadInput
from ...sdk.values.files import Part
from ...sdk.values.serde import Input
from ..call import Call
from .body import Body, Upload, is_form, parse_form
from .download import fetch

__all__ = ["fetched"]

_SCHEMES = ("http://", "https://")


async def fetched(call: Call, input: Input, body: Body) -> Body:
    """Return a body in which each file that was named by an address is there.

    Raises:
        BadInput: an address leads where nobody may go, or to no file.
        BentoMLException: 413, the files are longer together than an upload may be.
    """
    if input.is_raw:
        return await _root(call, input, body)
    parts = _parts(call, input, body)
    if parts is None:
        return body
    left = call.server.limits.upload
    complete = []
    for part in parts:
        if (url := _address(part, input)) is not None:
            part = await _fetch(call, part.name, url, left)
            left -= (part.path or Path()).stat().st_size
        complete.append(part)
    return Upload(complete)


def _parts(call: Call, input: Input, body: Body) -> list[Part] | None:
    """Return the fields of a form, or of a JSON object that names files; None for any other body."""
    if isinstance(body, Upload):
        return body.parts
    if is_form(call):
        return parse_form(call, input, body)
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:  # the validation says what is wrong
        return None
    if not isinstance(fields, dict) or not any(isinstance(fields.get(n), str | list) for n in input.files):
        return None
    parts: list[Part] = []
    for name, value in fields.items():
        for one in value if name in input.files and isinstance(value, list) else [value]:
            is_text = name in input.files and isinstance(one, str)
            parts.append(Part(name, data=one.encode() if is_text else orjson.dumps(one)))
    return parts


def _address(part: Part, input: Input) -> str | None:
    if part.name not in input.files or part.filename is not None or part.data is None:
        return None
    text = part.data.decode("utf-8", "replace").strip().strip("\"'")
    return text if text.lower().startswith(_SCHEMES) else None


async def _root(call: Call, input: Input, body: Body) -> Body:
    if (
        not input.files
        or isinstance(body, Upload)
        or not body[:8].lower().startswith((b"http://", b"https://"))
    ):
        return body
    try:
        url = body.decode("ascii").strip()
    except UnicodeDecodeError as e:
        raise BadInput("the body is no valid http or https address") from e
    (name,) = input.files
    part = await _fetch(call, name, url, call.server.limits.body)
    call.headers[b"content-type"] = (part.content_type or "").encode("latin-1")
    content = part.content()
    call.keep(len(content))
    return content


async def _fetch(call: Call, name: str, url: str, limit: int) -> Part:
    server = call.server
    return await fetch(
        name, url, call.temp_dir(), limit=limit, seconds=server.traffic.timeout, may_fetch=server.may_fetch
    )
