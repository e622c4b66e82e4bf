"""Uploads: what a caller may give for a file, and how it is named and typed on its way."""

from __future__ import annotations

import inspect
import io
import mimetypes
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from ..exceptions import InvalidArgument
from .optional import is_instance_of

__all__ = ["UNKNOWN", "Link", "Upload", "file_shape", "is_file", "upload"]

UNKNOWN = "application/octet-stream"
_PNG_MODES = {"1", "I", "I;16", "L", "LA", "P", "RGB", "RGBA"}
_TIFF_MODES = {"CMYK", "F", "LAB"}  # not for PNG; others Pillow writes and cannot read back


@dataclass(frozen=True, slots=True)
class Link:
    """The address of a file that lies elsewhere, to be fetched before it is sent."""

    url: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send: bytes, the path of a local file, an open binary file, or one that must be fetched.

    Its media type is None where nobody knows more than that the API takes some kind, as ``image/*``.
    """

    content: bytes | Path | BinaryIO | Link
    filename: str
    media_type: str | None


def file_shape(schema: Mapping[str, Any]) -> str | None:
    """Return ``"one"`` for the schema of a file, ``"many"`` for that of a list of files, else nothing."""
    if schema.get("type") == "file":
        return "one"
    items = schema.get("items")
    return "many" if isinstance(items, dict) and items.get("type") == "file" else None


def is_file(value: object) -> bool:
    """Say whether a value, whatever is wanted, can only be a file."""
    known = isinstance(value, os.PathLike | bytes | bytearray | memoryview)
    return known or hasattr(value, "read") or is_instance_of(value, "PIL.Image", "Image")


def upload(name: str, value: object, schema: Mapping[str, Any]) -> Upload | bytes:
    """Return what to send for the file ``name``; as bytes the text of an http(s) URL that the API itself fetches.

    A path or the name of a local file, bytes, a file open in binary mode, a PIL image and an http(s) URL are taken. An
    image that was opened and not touched is sent as the file that it came from; any other one is encoded as PNG, which
    loses nothing, or, where PNG cannot hold it, in the format it came in or as TIFF.

    Raises:
        InvalidArgument: the local file does not exist, or the image cannot be encoded.
        TypeError: the value is nothing that can be sent as a file.
    """
    declared = schema.get("content_type")
    if is_instance_of(value, "PIL.Image", "Image"):  # before paths: an image that a client saved is both
        return _image(name, value)
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return value.encode() if schema.get("url") else _elsewhere(name, value, declared)
    if isinstance(value, str | os.PathLike):
        return _local(name, Path(value), declared)
    if isinstance(value, bytes | bytearray | memoryview):
        return Upload(bytes(value), name, _unnamed(declared))
    if hasattr(value, "read"):
        return _open_file(name, value, declared)
    raise TypeError(
        f"`{name}` is a file: give a path, bytes, a file open in binary mode, a PIL image or a URL, "
        f"not `{type(value).__name__}`"
    )


def _elsewhere(name: str, url: str, declared: str | None) -> Upload:
    filename = _safe(unquote(urlsplit(url).path).rpartition("/")[2]) or name
    return Upload(Link(url), filename, _media_type(filename, declared))


def _local(name: str, path: Path, declared: str | None) -> Upload:
    try:
        found = path.is_file()
    except ValueError:  # a null byte
        found = False
    if not found:
        raise InvalidArgument(f"`{name}`: there is no file `{path}`; give the path of an existing one")
    return Upload(path, _safe(path.name), _media_type(path.name, declared))


def _open_file(name: str, file: Any, declared: str | None) -> Upload:
    if isinstance(file, io.TextIOBase):
        raise TypeError(
            f"`{name}`: the file is open in text mode; open it in binary mode, `open(path, 'rb')`"
        )
    if inspect.iscoroutinefunction(file.read):
        raise TypeError(f"`{name}`: the file is read by `await`; read it and give its bytes")
    own_name = getattr(file, "name", None)
    filename = _safe(os.path.basename(own_name)) if isinstance(own_name, str) and own_name else name
    return Upload(cast(BinaryIO, file), filename, _media_type(filename, declared))


def _image(name: str, image: Any) -> Upload:
    untouched = getattr(image, "fp", None) is not None and bool(getattr(image, "tile", None))
    keeps_format = untouched or image.mode not in _PNG_MODES
    kind = (image.format if keeps_format else None) or ("TIFF" if image.mode in _TIFF_MODES else "PNG")
    path = getattr(image, "filename", "") if untouched else ""
    filename = os.path.basename(path) if isinstance(path, str) and path else f"{name}.{kind}".lower()
    content = image.fp if untouched else _encoded(name, image, kind)
    return Upload(content, _safe(filename), str(sys.modules["PIL.Image"].MIME.get(kind, UNKNOWN)))


def _encoded(name: str, image: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=kind)
    except (OSError, KeyError, ValueError) as e:
        raise InvalidArgument(
            f"`{name}`: this image cannot be encoded: {e}; convert it, `image.convert('RGB')`"
        ) from e
    return buffer.getvalue()


def _media_type(filename: str, declared: str | None) -> str | None:
    """Return what the name of a file says it is, or what is declared where both mean the same, or the name says nothing.

    A file that is something else is not passed off as what is declared: the service checks that, and would be deceived.
    """
    guessed = mimetypes.guess_type(filename)[0]
    if guessed is None:
        return _unnamed(declared)
    if declared is None:
        return guessed
    kind, _, subtype = declared.partition(";")[0].strip().lower().partition("/")
    by_suffix = f"{kind}/{filename.rpartition('.')[2].lower()}"  # a `.mp3` is `audio/mpeg` to some, `audio/mp3` to others
    return declared if f"{kind}/{subtype}" in (guessed, guessed.replace("/x-", "/"), by_suffix) else guessed


def _unnamed(declared: str | None) -> str | None:
    """Return the media type of what has no name that says it; the server would refuse a wrong one for a pattern."""
    if declared is None:
        return UNKNOWN
    return None if "*" in declared else declared


def _safe(filename: str) -> str:
    """Return a name that UTF-8 can hold; file systems allow others."""
    return filename.encode(errors="replace").decode()
