"""Downloads: the files that a service answers with, kept in one folder for as long as the client is open."""

from __future__ import annotations

import io
import mimetypes
import re
import secrets
from collections.abc import Iterable, Mapping
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..exceptions import BentoMLException
from .optional import load_optional

__all__ = ["file_value", "save"]

_LONGEST_NAME = 200  # bytes
_UNSAFE = re.compile(r"[^\w.()+,=@ -]")


def save(pieces: Iterable[bytes], folder: Path, headers: Mapping[str, str]) -> Path:
    """Write a body to a new file in ``folder``; its name ends with the name that the server gave it."""
    path = folder / f"{secrets.token_hex(4)}-{_filename(headers)}"
    with path.open("xb") as file:
        for piece in pieces:
            file.write(piece)
    return path


def file_value(path: Path, schema: Mapping[str, Any]) -> Any:
    """Return what the caller gets for a saved file: the path, or the PIL image where the API returns one.

    The ``filename`` attribute of the image is the path of the file.

    Raises:
        BentoMLException: the file is not an image that can be read.
        MissingDependencyException: Pillow is needed and not installed.
    """
    if not schema.get("pil"):
        return path
    pillow = load_optional("PIL.Image", "an image as the answer of an API", "io-image")
    try:
        image = pillow.open(io.BytesIO(path.read_bytes()))  # one of several frames would keep the file open
        image.load()
    except (OSError, SyntaxError, ValueError) as e:
        raise BentoMLException(f"the server's answer is not an image that can be read: {e}") from e
    image.filename = str(path)
    return image


def _filename(headers: Mapping[str, str]) -> str:
    message = Message()
    message["content-disposition"] = headers.get("content-disposition", "")
    name = unquote(message.get_filename("")).replace("\\", "/").rpartition("/")[2]
    safe = _UNSAFE.sub("_", name).encode()[-_LONGEST_NAME:].decode(errors="ignore")
    if safe.strip("."):
        return safe
    return "answer" + (
        mimetypes.guess_extension(headers.get("content-type", "").partition(";")[0].strip()) or ""
    )
