"""What stands around the contents of a form: the boundary, the headers of its parts, and fields in an address's spelling."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from ...exceptions import BadInput
from ...sdk.values.files import Part
from ...sdk.values.part_names import unescaped

__all__ = ["MAX_HEADER_BYTES", "Head", "boundary_of", "field_text", "parse_head", "parse_urlencoded"]

MAX_HEADER_BYTES = 16 * 1024  # of one part

_PARAMETER = re.compile(rb';\s*([\w!#$%&\'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]\Z")
_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "windows-1252"}
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")


class Head(NamedTuple):
    """What the headers of a part say."""

    name: str
    filename: str | None
    content_type: str | None


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary that a ``multipart/form-data`` content type names.

    Raises:
        BadInput: there is none, or several, or it breaks the grammar of RFC 2046.
    """
    boundaries = [m for m in _PARAMETER.finditer(content_type) if m[1].lower() == b"boundary"]
    boundary = _value(boundaries[0]) if len(boundaries) == 1 else b""
    if not _BOUNDARY.match(boundary):
        raise BadInput("the content type `multipart/form-data` has no valid `boundary`, or several")
    return boundary


def parse_head(lines: bytes) -> Head:
    """Read the headers of a part.

    Raises:
        BadInput: it has no name, or is itself made of parts.
    """
    name: str | None = None
    filename: str | None = None
    content_type: str | None = None
    for line in lines.split(b"\r\n"):
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
    if content_type is not None and content_type.lower().startswith("multipart/"):
        raise BadInput(
            f"the part `{name}` of the form is itself made of parts, which RFC 7578 does not allow"
        )
    return Head(name, filename, content_type)


def field_text(data: bytes, content_type: str | None) -> bytes:
    """Return the text of a field as UTF-8, from the character set that its content type names.

    Raises:
        BadInput: the character set is none of the usual ones.
    """
    if content_type is None or "charset" not in content_type.lower():
        return data
    charset = _parameters(content_type.encode("latin-1")).get(b"charset", b"utf-8").decode("latin-1").lower()
    if charset not in _CHARSETS:
        raise BadInput(f"the character set `{charset}` is not known; send UTF-8")
    if charset in _UTF8:
        return data
    try:
        return data.decode(charset).encode()
    except UnicodeDecodeError as e:
        raise BadInput(f"what was sent is no text in the character set `{charset}`") from e


def parse_urlencoded(body: bytes, limit: int) -> list[Part]:
    """Return the fields of an ``application/x-www-form-urlencoded`` body.

    Raises:
        BadInput: it is not such a form, or has more than ``limit`` fields.
    """
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=limit, errors="strict")
    except ValueError as e:
        raise BadInput(f"the body is not a form: {e}") from e
    return [Part(name, None, None, value.encode(), None) for name, value in fields]


def _parameters(value: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for match in _PARAMETER.finditer(value):
        found.setdefault(match[1].lower(), _value(match))
    return found


def _value(match: re.Match[bytes]) -> bytes:
    return match[3] if match[2] is None else re.sub(rb'\\(["\\])', rb"\1", match[2])


def _text(value: bytes | None) -> str | None:
    """Return what browsers and curl mean by a quoted value."""
    return None if value is None else unescaped(value.decode("utf-8", "replace"))


def _filename(parameters: dict[bytes, bytes]) -> str | None:
    extended = parameters.get(b"filename*")  # RFC 5987: utf-8''a%20name.txt
    if extended is not None and extended.lower().startswith(b"utf-8'"):
        return unquote(extended.split(b"'", 2)[-1].decode("latin-1"))
    return _text(parameters.get(b"filename"))
