"""Forms: how the parts of a request become the fields of an object, and what is done with a text that may be JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, from_json

from ...exceptions import BadInput
from .fail_fast import BySize
from .files import Part
from .nested import place
from .npy import NPY, read_npy
from .types import file_shape, holds_files_by_key, not_none, unwrap

__all__ = ["Folder", "Form", "error_line"]

Folder = Callable[[], Path]

_NO_LIST = ("list_type", "set_type", "frozen_set_type", "tuple_type")
_TEXT_FIRST = (bytes, Decimal)  # types that a JSON reader would change: quotes of bytes, digits of numbers


class Form:
    """Read forms into an object with these fields, each an adapted annotation."""

    def __init__(self, fields: Mapping[str, Any], validators: BySize) -> None:
        self._names = frozenset(fields)
        self._validators = validators
        self._shapes = {name: shape for name, a in fields.items() if (shape := file_shape(a))}
        self._as_text = frozenset(
            n for n, a in fields.items() if unwrap(not_none(unwrap(a)[0]))[0] in _TEXT_FIRST
        )
        self._by_key = frozenset(n for n, a in fields.items() if holds_files_by_key(a))
        self.files = frozenset(self._shapes)

    def read(self, parts: Sequence[Part], folder: Folder | None) -> Any:
        """Return the object. A text is JSON where that fits, else the text itself: ``tag=3`` is "3" for a string.

        A part named by a path, ``item.image`` or ``items.0.image``, stands at that place of a field.

        Raises:
            ValidationError: the fields do not fit.
            BadInput: a part names a place that there is not.
        """
        groups = _grouped(parts)
        validator = self._validators.of(sum(len(part.data) for part in parts if part.data is not None))
        try:
            return validator.validate_python(self._values(groups, {}), context=folder)
        except ValidationError as e:
            again = self._to_read_again(groups, e)
            if not again:
                raise
            return _again(validator, self._values(groups, again), folder, e)

    def _values(self, groups: Mapping[str, list[Part]], again: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields; those to read ``again`` are taken as text, for the error that reading them as JSON was."""
        values = self._file_values(groups)
        inner: dict[str, Any] = {}
        for name, group in groups.items():
            if name in self._names:
                if name not in self.files:
                    values[name] = _as_text(group, again[name]) if name in again else self._value(name, group)
            elif self._is_inside(name):
                inner[name] = (
                    _as_text(group, again[name]) if name in again else _one(map(_inner_value, group))
                )
        for name, value in inner.items():
            self._place(values, name, value)
        return values

    def _to_read_again(self, groups: Mapping[str, list[Part]], error: ValidationError) -> dict[str, str]:
        """Return what may fit as text, or as a list of one, and what was wrong with it."""
        inner = {name for name in groups if self._is_inside(name)}
        whole = (self._names - self.files) & groups.keys() - {name.partition(".")[0] for name in inner}
        again: dict[str, str] = {}
        for line in error.errors():
            path = [str(step) for step in line["loc"]]
            if path and path[0] in whole:
                again[path[0]] = line["type"]
            for length in range(2, len(path) + 1) if inner else ():
                if (name := ".".join(path[:length])) in inner:
                    again[name] = _NO_LIST[0] if length < len(path) else line["type"]
        return again

    def _is_inside(self, name: str) -> bool:
        return "." in name and name not in self._names and name.partition(".")[0] in self._names

    def _place(self, values: dict[str, Any], name: str, value: Any) -> None:
        field, _, key = name.partition(".")
        if field in self._by_key:
            if values.get(field) is None:
                values[field] = {}
            if isinstance(values[field], dict):
                values[field].setdefault(key, None)  # which marks the place, whatever dots are in the key
        try:
            place(values, name, value)
        except ValueError as e:
            raise BadInput(f"the form has a part `{name[:100]}`: {e}") from e

    def _value(self, name: str, group: Sequence[Part]) -> Any:
        return _one(map(_text if name in self._as_text else _decoded, group))

    def _file_values(self, groups: Mapping[str, list[Part]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, shape in self._shapes.items():
            files = [_file_value(part) for part in groups.get(name, ()) if not _left_out(part)]
            whole = len(files) == 1 and (files[0] is None or isinstance(files[0], list))
            if files:
                values[name] = files if shape == "many" and not whole else files[0]
        return values


def error_line(error: Any, prefix: tuple[str, ...] = ()) -> InitErrorDetails:
    """Return one error of a ``ValidationError``, to be part of another one."""
    kind = error["type"] if "url" in error else PydanticCustomError(error["type"], error["msg"])
    return InitErrorDetails(
        type=kind, loc=(*prefix, *error["loc"]), input=error["input"], ctx=error.get("ctx", {})
    )


def _again(validator: Any, values: dict[str, Any], folder: Folder | None, first: ValidationError) -> Any:
    """Try with the texts of the fields that did not fit as JSON; where that fails too, tell of each what JSON was."""
    try:
        return validator.validate_python(values, context=folder)
    except ValidationError as e:
        wrong = {error["loc"][:1] for error in e.errors()}
        lines = [error_line(error) for error in first.errors() if error["loc"][:1] in wrong]
    raise ValidationError.from_exception_data(first.title, lines, input_type="json")


def _grouped(parts: Sequence[Part]) -> Mapping[str, list[Part]]:
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.name, []).append(part)
    return groups


def _left_out(part: Part) -> bool:
    """Say whether a part is what a browser sends for a file field that nobody filled in."""
    return part.filename == "" and not part.content()


def _file_value(part: Part) -> Any:
    """Return a file as its part; a text, which no file is, may be ``null`` or fit another branch of a union."""
    return _decoded(part) if part.filename is None else part


def _inner_value(part: Part) -> Any:
    return part if part.filename and not _is_array(part) else _decoded(part)


def _is_array(part: Part) -> bool:
    return (part.content_type or "").partition(";")[0].strip().lower() == NPY


def _decoded(part: Part) -> Any:
    if _is_array(part):
        try:
            return read_npy(part.content())
        except ValueError as e:
            raise BadInput(f"the part `{part.name[:100]}` is no array: {e}") from e
    try:
        return from_json(part.content())
    except ValueError:
        return _text(part)


def _text(part: Part) -> str | bytes:
    content = part.content()
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content  # for a field of bytes; any other one refuses it


def _as_text(group: Sequence[Part], error: str) -> Any:
    if error in _NO_LIST and len(group) == 1:
        item = _inner_value(group[0])
        return [item if isinstance(item, dict | Part) else _text(group[0])]
    return _one(part if isinstance(part := _inner_value(p), Part) else _text(p) for p in group)


def _one(values: Iterable[Any]) -> Any:
    """Return the value of a field that came once, and the list of values of one that came several times."""
    several = list(values)
    return several[0] if len(several) == 1 else several
