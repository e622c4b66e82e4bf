"""Files of a request and of a response: an uploaded part becomes a path that the server chose, never the client."""

from __future__ import annotations

import mimetypes
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from .images import PILImageEncoder

__all__ = [
    "ContentType",
    "FileAnswer",
    "FileSchema",
    "Part",
    "Sent",
    "SentFile",
    "SentValue",
    "check_content_type",
    "file_answer",
    "safe_name",
]

_SCRIPTED = ("image/svg+xml",)  # whose scripts would run with the rights of the page that the service has
_LONGEST_NAME = 200  # bytes; a file system allows 255, and what is put before a name needs some


class Part(NamedTuple):
    """One field of a form; a file has a ``filename``. The content is ``data``, or lies at ``path`` already."""

    name: str
    filename: str | None = None
    content_type: str | None = None
    data: bytes | None = None
    path: Path | None = None

    def content(self) -> bytes:
        """Return the bytes, wherever they are."""
        if self.data is not None:
            return self.data
        return self.path.read_bytes() if self.path is not None else b""


class FileAnswer(NamedTuple):
    """A file to send."""

    path: Path
    media_type: str
    filename: str | None
    disposition: Literal["attachment", "inline"] | None


@dataclass(frozen=True, slots=True)
class ContentType:
    """Say the media type of a file; ``*`` stands for anything, as in ``image/*``."""

    content_type: str


@dataclass(frozen=True, slots=True)
class FileSchema:
    """Take an uploaded file as a ``pathlib.Path`` in the folder of the request.

    The validation context is a function that returns this folder. A string is refused: the server's
    files are not the client's.
    """

    format: str = "binary"
    content_type: str | None = None

    def to_path(self, value: Any, info: ValidationInfo) -> Path:
        """Return where the file lies."""
        if not isinstance(value, Part) or value.filename is None:
            raise PydanticCustomError("path_type", "Invalid file type")
        check_content_type(value, self.content_type)
        if value.path is not None:
            return value.path
        return _write(value, info.context)

    def json_schema(self) -> dict[str, Any]:
        """Return the schema as `/schema.json` shows it."""
        kind = (self.content_type or "").partition("/")[0]
        schema = {"type": "file", "format": kind if kind.isalnum() else self.format}
        return schema | ({"content_type": self.content_type} if self.content_type else {})

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.to_path, serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()


class Sent:
    """A file or an image inside an answered object: what is sent in a part of its own."""

    __slots__ = ("content", "filename", "media_type")

    def __init__(self, content: bytes | Path, media_type: str, filename: str | None) -> None:
        self.content = content
        self.media_type = media_type
        self.filename = filename


class SentValue(ABC):
    """How pydantic takes a value that an answered object holds, and gives what is sent of it."""

    schema: FileSchema | PILImageEncoder

    @abstractmethod
    def check(self, value: Any) -> Any:
        """Return the value as it is known from here on, or raise ``ValueError``."""

    @abstractmethod
    def sent(self, value: Any) -> Sent:
        """Return what is sent of a value."""

    def _sent_if_any(self, value: Any) -> Sent | None:
        return None if value is None else self.sent(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the schema as `/schema.json` shows it."""
        return self.schema.json_schema()

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.check, serialization=core_schema.plain_serializer_function_ser_schema(self._sent_if_any)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()


@dataclass(frozen=True)
class SentFile(SentValue):
    """Give a ``pathlib.Path`` inside an answered object as the file that lies there."""

    schema: FileSchema

    def check(self, value: Any) -> Path:
        """Return the path of an existing file."""
        if not isinstance(value, str | os.PathLike):
            raise ValueError(f"a file is given by its path, not by a value of type {type(value).__name__}")
        if not (path := Path(value)).is_file():
            raise ValueError(f"there is no file `{path}`")
        return path

    def sent(self, value: Any) -> Sent:
        """Return the file."""
        answer = file_answer(self.check(value), self.schema.content_type)
        return Sent(answer.path, answer.media_type, answer.filename)


def safe_name(filename: str) -> str:
    """Return the last part of a file name that a client sent, without separators and control characters."""
    base = filename.replace("\\", "/").rpartition("/")[2]
    printable = "".join(c for c in base if c.isprintable())
    return printable.encode()[-_LONGEST_NAME:].decode(errors="ignore")


def check_content_type(part: Part, expected: str | None) -> None:
    """Raise ``ValueError`` when a part says that it is of another media type than the expected one."""
    if expected is None or part.content_type is None:
        return
    actual = part.content_type.partition(";")[0].strip().lower()
    if not fnmatchcase(actual, expected.lower()):
        raise ValueError(f"Invalid content type {actual}, expected {expected}")


def file_answer(path: Path, declared: str | None) -> FileAnswer:
    """Say how to send a file: its media type follows from its name, or else is the declared one.

    Where the two are the same but for an ``x-``, as ``audio/x-wav`` and ``audio/wav``, it is the declared one.
    """
    guessed = mimetypes.guess_type(path.name)[0]
    exact = declared if declared and "*" not in declared else None
    if exact and guessed and guessed.replace("/x-", "/") == exact.lower().replace("/x-", "/"):
        guessed = exact
    media_type = guessed or exact or "application/octet-stream"
    is_shown = media_type.startswith("image/") and media_type not in _SCRIPTED
    return FileAnswer(path, media_type, path.name, "inline" if is_shown else "attachment")


def _write(part: Part, folder: Callable[[], Path] | None) -> Path:
    if folder is None:
        raise RuntimeError(f"part `{part.name}` is in memory, and no folder was given to write it to")
    descriptor, name = tempfile.mkstemp(suffix=safe_name(part.filename or ""), dir=folder())
    with open(descriptor, "wb") as file:
        file.write(part.data or b"")
    return Path(name)
