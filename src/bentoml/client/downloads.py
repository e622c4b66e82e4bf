"""Downloads: the files that a service answers with, kept in one folder for as long as the client is open."""

from __future__ import annotations

import io
import mimetypes
import os
import re
import secrets
import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping
from email.message import Message
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from ..exceptions import BentoMLException
from ..sdk.values.image_formats import safe_formats
from .optional import load_optional

__all__ = ["Downloads", "file_value", "parameters"]

_LONGEST_NAME = 200  # bytes
_UNSAFE = re.compile(r"[^\w.()+,=@ -]")


class Downloads:
    """A folder of files, made with the first of them, and removed when the client closes or is forgotten.

    A ``folder`` that is given is somebody else's, who removes it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._given = folder
        self._lock = threading.Lock()
        self._own: _Folder | None = None

    def new(self, headers: Mapping[str, str]) -> tuple[Path, BinaryIO]:
        """Open a new file for a body with these headers; its name ends with the name that the server gave it."""
        path = self._folder() / f"{secrets.token_hex(8)}-{_filename(headers)}"
        return path, path.open("xb")

    def close(self) -> None:
        """Remove the files."""
        with self._lock:
            if self._own is not None:
                self._own.remove()
                self._own = None

    def _folder(self) -> Path:
        if self._given is not None:
            return self._given
        with self._lock:
            if self._own is None or self._own.process != os.getpid():
                self._own = _Folder()
            return self._own.path


class _Folder:
    """A temporary folder of one process; one that is forked from it leaves it alone."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="bentoml-client-"))
        self.process = os.getpid()
        self.remove = weakref.finalize(self, _remove, self.path, self.process)


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def file_value(path: Path, schema: Mapping[str, Any]) -> Any:
    """Return what the caller gets for a saved file: the path, or the PIL image where the API returns one.

    The image stands for the path of its file as well: ``str()`` and ``os.fspath()`` give it, so that ``print(image)``,
    ``open(image)`` and ``shutil.copy(image, ...)`` mean the file.

    Raises:
        BentoMLException: the file is not an image that can be read.
        MissingDependencyException: Pillow is needed and not installed.
    """
    if not schema.get("pil"):
        return path
    pillow = load_optional("PIL.Image", "an image as the answer of an API", "io-image")
    try:
        content = io.BytesIO(path.read_bytes())
        image = pillow.open(content, formats=safe_formats())  # one of several frames would keep the file open
        image.load()
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as e:
        raise BentoMLException(f"the server's answer is not an image that can be read: {e}") from e
    image.filename = str(path)
    image.__class__ = _saved(image.__class__)
    return image


class _Saved:
    """An image that is also the path of its file."""

    filename: str

    def __fspath__(self) -> str:
        return self.filename

    def __str__(self) -> str:
        return self.filename

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Be copied, and sent to another process, as an image without a file."""
        return self.copy().__reduce_ex__(protocol)  # type: ignore[attr-defined]  # of Pillow's image


@cache
def _saved(kind: type) -> type:
    return type(kind.__name__, (_Saved, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})


def parameters(header: str) -> dict[str, str]:
    """Return the parameters of a header value such as ``form-data; name="a"; filename="b.png"``."""
    message = Message()
    message["content-type"] = header
    return {key.lower(): _text(value) for key, value in message.get_params([]) or []}


def _text(value: str | tuple[str | None, str | None, str]) -> str:
    """Return a parameter as text; one of RFC 2231 names its encoding."""
    if isinstance(value, str):
        return value
    encoding, _, raw = value
    try:
        return raw.encode("latin-1").decode(encoding or "utf-8", errors="replace")
    except (LookupError, UnicodeEncodeError):
        return raw


def _filename(headers: Mapping[str, str]) -> str:
    named = parameters(headers.get("content-disposition", "")).get("filename", "")
    name = unquote(named).replace("\\", "/").rpartition("/")[2]
    safe = _UNSAFE.sub("_", name).encode()[-_LONGEST_NAME:].decode(errors="ignore")
    if safe.strip("."):
        return safe
    media_type = headers.get("content-type", "").partition(";")[0].strip()
    return "answer" + (mimetypes.guess_extension(media_type) or "")
