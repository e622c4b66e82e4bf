"""What an annotation says: questions that input and output ask of the types in a signature."""

from __future__ import annotations

import types
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Annotated, Any, NewType, Union, get_args, get_origin

import typing_extensions

from .files import ContentType, FileSchema, SentFile
from .frames import DataframeSchema, SeriesSchema
from .images import PILImageEncoder, SentImage
from .tensors import TensorSchema

__all__ = [
    "Special",
    "alias_value",
    "content_type",
    "file_shape",
    "holds_files",
    "holds_files_by_key",
    "is_any_text",
    "is_response",
    "is_text",
    "not_none",
    "special",
    "stream_chunk",
    "substituted",
    "unwrap",
]

Special = FileSchema | PILImageEncoder | SentFile | SentImage | TensorSchema | DataframeSchema | SeriesSchema

_FILES = FileSchema | PILImageEncoder | SentFile | SentImage
_STREAMS = (AsyncGenerator, AsyncIterator, AsyncIterable, Generator, Iterator)


def special(annotation: Any) -> Special | None:
    """Return the schema of an adapted annotation that is itself an array, a table, a file or an image."""
    return next((m for m in unwrap(annotation)[1] if isinstance(m, Special)), None)


def file_shape(annotation: Any) -> str | None:
    """Say whether an adapted annotation takes ``one`` file, ``many`` files, or none."""
    if isinstance(special(annotation), _FILES):
        return "one"
    inner, _ = unwrap(annotation)
    arguments = get_args(inner)
    if get_origin(inner) in (Union, types.UnionType):
        return next((shape for a in arguments if (shape := file_shape(a))), None)
    if get_origin(inner) in (list, tuple, set, frozenset, Sequence, Iterable):
        return "many" if any(file_shape(a) == "one" for a in arguments) else None
    return None


def holds_files_by_key(annotation: Any) -> bool:
    """Say whether an adapted annotation is a dictionary, or an optional one, of files."""
    inner = unwrap(not_none(unwrap(annotation)[0]))[0]
    return get_origin(inner) is dict and any(file_shape(value) == "one" for value in get_args(inner)[1:])


def holds_files(schema: Any) -> bool:
    """Say whether a JSON schema has a file anywhere in it."""
    if isinstance(schema, list):
        return any(map(holds_files, schema))
    if not isinstance(schema, Mapping):
        return False
    return schema.get("type") == "file" or any(map(holds_files, schema.values()))


def unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Split ``Annotated[X, ...]`` into ``X`` and its metadata."""
    if get_origin(annotation) is Annotated:
        return annotation.__origin__, annotation.__metadata__
    return annotation, ()


def alias_value(annotation: Any) -> Any:
    """Return what a ``NewType`` or a ``type`` alias (PEP 695) stands for; None where the annotation is neither."""
    if isinstance(annotation, NewType):
        return annotation.__supertype__
    if _is_alias(annotation):
        return annotation.__value__
    if _is_alias(origin := get_origin(annotation)):
        return substituted(
            origin.__value__, dict(zip(origin.__type_params__, get_args(annotation), strict=False))
        )
    return None


def content_type(annotation: Any) -> str | None:
    """Return the media type that an annotation declares by ``ContentType``."""
    return next((m.content_type for m in unwrap(annotation)[1] if isinstance(m, ContentType)), None)


def stream_chunk(annotation: Any) -> Any:
    """Return what one step of an annotated stream is, or None where the annotation is no stream."""
    inner, _ = unwrap(annotation)
    if (get_origin(inner) or inner) not in _STREAMS:
        return None
    return (get_args(inner) or (Any,))[0]


def not_none(annotation: Any) -> Any:
    """Return X of ``Optional[X]``, and any other annotation as it is."""
    others = [a for a in get_args(annotation) if a is not type(None)]
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return others[0] if is_union and len(others) == 1 else annotation


def special_of_optional(annotation: Any) -> Any:
    """Return what ``special`` does, for ``Optional[X]`` that of X."""
    return special(annotation) or special(not_none(unwrap(annotation)[0]))


def is_response(annotation: Any) -> bool:
    """Say whether an annotation is, or may be, a Starlette response, which is sent as it is."""
    classes = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
    return any(base.__module__ == "starlette.responses" for cls in classes for base in cls.__mro__)


def is_text(core: Mapping[str, Any]) -> bool:
    """Say whether pydantic's core schema has text as its values: ``str``, a choice of texts or an enum of ``str``.

    What is only written as text, such as a date or the texts of an ordinary enum, is none.
    """
    core = _checked(core)
    if core["type"] == "enum":
        return issubclass(core["cls"], str)
    return core["type"] == "str" or (
        core["type"] == "literal" and all(isinstance(v, str) for v in core["expected"])
    )


def is_any_text(core: Mapping[str, Any]) -> bool:
    """Say whether the values of pydantic's core schema are texts of no special form: ``str``, whatever its constraints."""
    return bool(_checked(core)["type"] == "str")


def substituted(annotation: Any, values: Mapping[Any, Any]) -> Any:
    """Return an annotation with its type variables replaced."""
    if annotation in values:
        return values[annotation]
    parameters = getattr(annotation, "__parameters__", ())
    return annotation[tuple(values.get(p, p) for p in parameters)] if parameters else annotation


def _checked(core: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is checked by the functions and defaults around it."""
    while core["type"] in ("function-after", "function-before", "default"):
        core = core["schema"]
    return core


def _is_alias(annotation: Any) -> bool:
    return isinstance(annotation, typing_extensions.TypeAliasType) or (
        type(annotation).__name__ == "TypeAliasType" and type(annotation).__module__ == "typing"
    )
