"""Forms: ``multipart/form-data`` (RFC 7578) and ``application/x-www-form-urlencoded`` bodies as parts, within limits.

A body is searched with ``bytes.find`` and never copied: a file goes from the body to the disk in one write. The usual
incremental parser looks at each byte and takes ten times as long for an upload of 1 MB.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Set
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from ..exceptions import BadInput
from ..sdk.files import Part, safe_name

__all__ = ["boundary_of", "parse_multipart", "parse_urlencoded"]

MAX_PARTS = 1000
MAX_HEADER_BYTES = 16 * 1024  # of one part

_PARAMETER = re.compile(rb';\s*([\w!#$%&\'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]\Z")


class _Head(NamedTuple):
    name: str
    filename: str | None
    content_type: str | None


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary that a ``multipart/form-data`` content type names.

    Raises:
        BadInput: there is none, or it breaks the grammar of RFC 2046.
    """
    boundary = _parameters(content_type).get(b"boundary", b"")
    if not _BOUNDARY.match(boundary):
        raise BadInput("the content type `multipart/form-data` has no valid `boundary`")
    return boundary


def parse_multipart(
    body: bytes, boundary: bytes, *, files: Set[str], folder: Callable[[], Path]
) -> list[Part]:
    """Cut a body into its parts; those whose name is in ``files`` are written into ``folder()``.

    Raises:
        BadInput: the body is not a form with this boundary, is cut off, or has more parts or longer headers than allowed.
    """
    parts: list[Part] = []
    separator = b"\r\n--" + boundary
    first = separator[2:]
    if body.startswith(first):
        position = len(first)
    else:  # a preamble is allowed and means nothing
        position = body.find(separator) + len(separator)
        if position < len(separator):
            raise BadInput("the body is not a form: it does not begin with its boundary")
    while True:
        position = _line_end(body, position)
        if position < 0:
            return parts
        if len(parts) == MAX_PARTS:
            raise BadInput(f"the form has more than {MAX_PARTS} parts")
        head, start = _head(body, position)
        end = body.find(separator, start)
        if end < 0:
            raise BadInput(f"the form is cut off in its part `{head.name}`")
        parts.append(_part(head, body, start, end, files, folder))
        position = end + len(separator)


def parse_urlencoded(body: bytes) -> list[Part]:
    """Return the fields of an ``application/x-www-form-urlencoded`` body.

    Raises:
        BadInput: it is not such a form, or has more fields than allowed.
    """
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_PARTS, errors="strict")
    except ValueError as e:
        raise BadInput(f"the body is not a form: {e}") from e
    return [Part(name, None, None, value.encode(), None) for name, value in fields]


def _line_end(body: bytes, position: int) -> int:
    """Return where the part after a boundary begins, or -1 after the last boundary."""
    if body.startswith(b"--", position):
        return -1
    if body.startswith(b"\r\n", position):
        return position + 2
    end = body.find(b"\r\n", position, position + 128)  # white space may follow a boundary
    if end < 0 or body[position:end].strip(b" \t"):
        raise BadInput("the form is cut off after a boundary")
    return end + 2


def _head(body: bytes, position: int) -> tuple[_Head, int]:
    end = body.find(b"\r\n\r\n", position, position + MAX_HEADER_BYTES)
    if end < 0:
        raise BadInput(f"a part of the form has no headers, or more than {MAX_HEADER_BYTES} bytes of them")
    name: str | None = None
    filename: str | None = None
    content_type: str | None = None
    for line in body[position:end].split(b"\r\n"):
        key, _, value = line.partition(b":")
        match key.strip().lower():
            case b"content-disposition":
                parameters = _parameters(value)
                name = _text(parameters.get(b"name"))
                filename = _filename(parameters)
            case b"content-type":
                content_type = value.strip().decode("latin-1")
    if name is None:
        raise BadInput("a part of the form has no name")
    return _Head(name, filename, content_type), end + 4


def _part(
    head: _Head, body: bytes, start: int, end: int, files: Set[str], folder: Callable[[], Path]
) -> Part:
    if head.name not in files or head.filename is None:
        return Part(head.name, head.filename, head.content_type, body[start:end], None)
    path = folder() / f"tmp{secrets.token_hex(4)}{safe_name(head.filename)}"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        view = memoryview(body)[start:end]
        while view:
            view = view[os.write(handle, view) :]
    finally:
        os.close(handle)
    return Part(head.name, head.filename, head.content_type, None, path)


def _parameters(value: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for match in _PARAMETER.finditer(value):
        quoted = match[2]
        content = match[3] if quoted is None else re.sub(rb'\\(["\\])', rb"\1", quoted)
        found.setdefault(match[1].lower(), content)
    return found


def _text(value: bytes | None) -> str | None:
    """Return what browsers (HTML, "multipart/form-data encoding algorithm") and curl mean by a quoted value."""
    if value is None:
        return None
    text = value.decode("utf-8", "replace")
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _filename(parameters: dict[bytes, bytes]) -> str | None:
    extended = parameters.get(b"filename*")  # RFC 5987: utf-8''a%20name.txt
    if extended is not None and extended.lower().startswith(b"utf-8'"):
        return unquote(extended.split(b"'", 2)[-1].decode("latin-1"))
    return _text(parameters.get(b"filename"))
