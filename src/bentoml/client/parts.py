"""Parts: an answer of several fields, ``multipart/form-data``, taken apart while it arrives; its files go to the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..exceptions import BentoMLException
from ..sdk.values.nested import find, place
from ..sdk.values.part_names import unescaped
from .deep_json import loads
from .downloads import parameters
from .structures import schema_at
from .uploads import file_shape
from .values import decode, from_json, plain_optional

__all__ = ["FormReader", "ReceivedPart", "form_value"]

_MOST_HEADERS = 16 * 1024  # bytes of one part
_ROOT = "root"

NewFile = Callable[[Mapping[str, str]], tuple[Path, BinaryIO]]
FileValue = Callable[[Path, Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class ReceivedPart:
    """One field: a file that lies at ``path``, or ``data``."""

    name: str
    media_type: str
    data: bytes
    path: Path | None


class FormReader(AbstractContextManager["FormReader"]):
    """Cut a body into its parts, piece by piece; a part with a file name is written to a file of ``new_file``."""

    def __init__(self, content_type: str, new_file: NewFile) -> None:
        boundary = parameters(content_type).get("boundary", "")
        if not boundary:
            raise _broken("it names no boundary")
        self._delimiter = b"\r\n--" + boundary.encode()
        self._new_file = new_file
        self._buffer = bytearray(b"\r\n")  # so that the first boundary looks like the others
        self._step = self._skip
        self._parts: list[ReceivedPart] = []
        self._head: dict[str, str] = {}
        self._path: Path | None = None
        self._sink: BinaryIO | None = None
        self._data = bytearray()

    def __exit__(self, *exc_info: object) -> None:
        if self._sink is not None:
            self._sink.close()

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body."""
        self._buffer += data
        while self._step():
            pass

    def end(self) -> list[ReceivedPart]:
        """Return the parts; BentoMLException if the body ended before its last boundary."""
        if self._step != self._done:
            raise _broken("it is cut off")
        return self._parts

    def _skip(self) -> bool:
        """Pass over what comes before the first boundary."""
        found = self._buffer.find(self._delimiter)
        del self._buffer[: found if found >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)]
        if found < 0:
            return False
        self._step = self._boundary
        return True

    def _boundary(self) -> bool:
        """Go past a boundary, which begins a part or ends the body."""
        start = len(self._delimiter)
        if len(self._buffer) < start + 2:
            return False
        if self._buffer[start : start + 2] == b"--":
            self._step = self._done
            return False
        line_end = self._buffer.find(b"\r\n", start)
        if line_end < 0:
            return False
        del self._buffer[: line_end + 2]
        self._step = self._headers
        return True

    def _headers(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MOST_HEADERS:
                raise _broken("the headers of a part do not end")
            return False
        lines = self._buffer[:end].decode(errors="replace").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        self._head = {key.strip().lower(): value.strip() for key, _, value in pairs}
        del self._buffer[: end + 4]
        if "filename" in parameters(self._head.get("content-disposition", "")):
            self._path, self._sink = self._new_file(self._head)
        self._step = self._content
        return True

    def _content(self) -> bool:
        found = self._buffer.find(self._delimiter)
        end = found if found >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        if self._sink is not None:
            self._sink.write(self._buffer[:end])
        else:
            self._data += self._buffer[:end]
        del self._buffer[:end]
        if found < 0:
            return False
        self._finish()
        self._step = self._boundary
        return True

    def _done(self) -> bool:
        return False

    def _finish(self) -> None:
        name = unescaped(parameters(self._head.get("content-disposition", "")).get("name", ""))
        media_type = self._head.get("content-type", "").partition(";")[0].strip().lower()
        self._parts.append(ReceivedPart(name, media_type, bytes(self._data), self._path))
        if self._sink is not None:
            self._sink.close()
        self._path, self._sink = None, None
        self._data.clear()


def form_value(parts: list[ReceivedPart], schema: Mapping[str, Any], file_value: FileValue) -> Any:
    """Return the object or the list that the parts of an answer are the fields of."""
    schema = plain_optional(schema)
    fields: dict[str, list[ReceivedPart]] = {}
    for part in parts:
        fields.setdefault(part.name, []).append(part)
    is_root = schema.get("type") != "object" and {name.partition(".")[0] for name in fields} == {_ROOT}
    if is_root:
        schema = {"properties": {_ROOT: schema}}
    tree: dict[str, Any] = {}
    for name, mine in fields.items():
        way = find(tree, name)  # a null stands where a file deeper in a field belongs, and comes before it
        value = _field(mine, schema_at(schema, way or [name]), file_value)
        if way:
            place(tree, name, value)
        else:
            tree[name] = value
    return tree[_ROOT] if is_root and len(tree) == 1 else tree


def _field(mine: list[ReceivedPart], schema: Mapping[str, Any], file_value: FileValue) -> Any:
    """Return the value of the parts of one name."""

    def value(part: ReceivedPart, its: Mapping[str, Any]) -> Any:
        return _value(part, its) if part.path is None else file_value(part.path, its)

    if file_shape(schema) == "many" and mine[0].path is not None:
        return [value(part, plain_optional(schema["items"])) for part in mine]
    return value(mine[0], schema) if len(mine) == 1 else [value(part, {}) for part in mine]


def _value(part: ReceivedPart, schema: Mapping[str, Any]) -> Any:
    if part.media_type != "application/json":
        return decode(part.data, part.media_type, schema)
    try:
        return from_json(loads(part.data), schema)
    except ValueError as e:
        raise _broken(f"its part `{part.name}` is not JSON: {e}") from e


def _broken(why: str) -> BentoMLException:
    return BentoMLException(f"the server's answer is not a form that can be read: {why}")
