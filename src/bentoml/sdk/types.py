"""What an annotation means: arrays, files and images get their schema, wherever they stand in it."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from copy import copy
from pathlib import PurePath
from typing import (
    Annotated,
    Any,
    NewType,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import typing_extensions
from pydantic import BaseModel, create_model

from .files import ContentType, FileSchema
from .images import PILImageEncoder
from .tensors import DType, Shape, TensorSchema

__all__ = [
    "adapt",
    "content_type",
    "file_shape",
    "is_response",
    "not_none",
    "special",
    "stream_chunk",
    "unwrap",
]

Special = FileSchema | PILImageEncoder | TensorSchema

_STREAMS = (AsyncGenerator, AsyncIterator, AsyncIterable, Generator, Iterator)


def adapt(annotation: Any, *, models: bool = False) -> Any:
    """Return the annotation with a schema beside each array, file and image type in it.

    With ``models``, pydantic models that have such fields are replaced by subclasses whose fields are adapted.
    """
    return _Adapter(models).adapt(annotation)


def special(annotation: Any) -> Special | None:
    """Return the schema of an adapted annotation that is itself an array, a file or an image."""
    return next((m for m in unwrap(annotation)[1] if isinstance(m, Special)), None)


def file_shape(annotation: Any) -> str | None:
    """Say whether an adapted annotation takes ``one`` file, ``many`` files, or none."""
    if isinstance(special(annotation), FileSchema | PILImageEncoder):
        return "one"
    inner, _ = unwrap(annotation)
    arguments = get_args(inner)
    if get_origin(inner) in (Union, types.UnionType):
        return next((shape for a in arguments if (shape := file_shape(a))), None)
    if get_origin(inner) in (list, tuple, set, frozenset, Sequence, Iterable):
        return "many" if any(file_shape(a) for a in arguments) else None
    return None


def unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Split ``Annotated[X, ...]`` into ``X`` and its metadata."""
    if get_origin(annotation) is Annotated:
        return annotation.__origin__, annotation.__metadata__
    return annotation, ()


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


def is_response(annotation: Any) -> bool:
    """Say whether an annotation is, or may be, a Starlette response, which is sent as it is."""
    classes = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
    return any(base.__module__ == "starlette.responses" for cls in classes for base in cls.__mro__)


class _Adapter:
    """Walk an annotation; a model that contains itself is met once."""

    def __init__(self, models: bool) -> None:
        self._models = models
        self._adapted: dict[type, type] = {}
        self._open: list[type] = []
        self._recursive: set[type] = set()

    def adapt(self, annotation: Any) -> Any:
        inner, metadata = unwrap(_meaning(annotation))
        if typing_extensions.is_typeddict(inner):
            inner = self._adapt_typed_dict(inner)
        if schema := _schema_of(inner, metadata):
            return Annotated[_plain_type(inner), schema, *_others(metadata)]
        if isinstance(inner, type) and not get_args(inner) and self._models:
            adapted = self._adapt_class(inner)
        else:
            adapted = self._adapt_arguments(inner)
        return Annotated[adapted, *metadata] if metadata else adapted

    def _adapt_typed_dict(self, cls: Any) -> Any:
        if cls in self._open:
            return cls  # it contains itself
        if cls not in self._adapted:
            self._open.append(cls)
            self._adapted[cls] = self._with_adapted_items(cls)
            self._open.pop()
        return self._adapted[cls]

    def _with_adapted_items(self, cls: Any) -> Any:
        items: dict[str, Any] = {}
        changed = _is_incomplete(cls)
        for name, hint in get_type_hints(cls, include_extras=True).items():
            origin = get_origin(hint)
            if origin not in (Required, NotRequired):
                origin = Required if name in cls.__required_keys__ else NotRequired
            else:
                hint = get_args(hint)[0]
            items[name] = origin[adapted := self.adapt(hint)]
            changed = changed or adapted != hint
        if not changed:
            return cls
        make: Any = typing_extensions.TypedDict
        made = make(cls.__name__, items)
        made.__module__, made.__doc__ = cls.__module__, cls.__doc__
        if hasattr(cls, "__pydantic_config__"):
            made.__pydantic_config__ = cls.__pydantic_config__
        return made

    def _adapt_arguments(self, annotation: Any) -> Any:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is None or not any(isinstance(a, type) or get_origin(a) for a in arguments):
            return annotation
        adapted = tuple(self.adapt(a) for a in arguments)
        if adapted == arguments:
            return annotation
        if origin in (Union, types.UnionType):
            return Union[adapted]  # noqa: UP007  # the branches are known at run time only
        return origin[adapted]

    def _adapt_class(self, cls: type) -> type:
        if issubclass(cls, BaseModel):
            return self._adapt_model(cls)
        if dataclasses.is_dataclass(cls) or hasattr(cls, "_fields"):  # a named tuple
            for name, hint in get_type_hints(cls, include_extras=True).items():
                if self.adapt(hint) != hint:
                    raise TypeError(
                        f"field `{name}` of `{cls.__name__}` is a file, an image or an array: make it a parameter "
                        f"of the API, or `{cls.__name__}` a pydantic model"
                    )
        return cls

    def _adapt_model(self, cls: type[BaseModel]) -> type:
        if cls in self._open:
            self._recursive.add(cls)
            return cls
        if cls not in self._adapted:
            self._open.append(cls)
            self._adapted[cls] = self._with_adapted_fields(cls)
            self._open.pop()
        return self._adapted[cls]

    def _with_adapted_fields(self, cls: type[BaseModel]) -> type[BaseModel]:
        changed: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            whole = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            adapted = self.adapt(whole)
            if adapted != whole:
                changed[name] = (adapted, _without_metadata(field))
        if not changed:
            return cls
        if cls in self._recursive:
            raise TypeError(
                f"`{cls.__name__}` contains itself, and a file, an image or an array; keep them apart"
            )
        return create_model(cls.__name__, __base__=cls, __module__=cls.__module__, **changed)


def _is_incomplete(cls: Any) -> bool:
    """Say whether a typed dictionary lacks what pydantic needs, as those of ``typing`` do before Python 3.12."""
    return sys.version_info < (3, 12) and is_typeddict(cls)


def _meaning(annotation: Any) -> Any:
    """Return what a ``NewType`` or a type alias stands for."""
    while isinstance(annotation, NewType) or type(annotation).__name__ == "TypeAliasType":
        annotation = getattr(annotation, "__supertype__", None) or annotation.__value__
    return annotation


def _schema_of(inner: Any, metadata: Sequence[Any]) -> Special | None:
    if any(isinstance(m, Special) for m in metadata):
        given = next(m for m in metadata if isinstance(m, Special))
        return _merged(given, metadata)
    if _is_class(inner, "numpy", "ndarray"):
        return _merged(TensorSchema(dtype=_dtype_argument(inner)), metadata)
    if _is_class(inner, "PIL.Image", "Image"):
        return _merged(PILImageEncoder(), metadata)
    if isinstance(inner, type) and issubclass(inner, PurePath):
        return _merged(FileSchema(), metadata)
    return None


def _merged(schema: Special, metadata: Sequence[Any]) -> Special:
    """Let the markers that stand beside a schema speak for what it leaves open."""
    for marker in metadata:
        match schema, marker:
            case TensorSchema(), DType(dtype):
                schema = dataclasses.replace(schema, dtype=str(dtype))
            case TensorSchema(), Shape(dimensions):
                schema = dataclasses.replace(schema, shape=tuple(dimensions))
            case ((FileSchema() | PILImageEncoder()), ContentType(media_type)):
                schema = dataclasses.replace(schema, content_type=media_type)
    return schema


def _others(metadata: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(m for m in metadata if not isinstance(m, Special | DType | Shape))


def _is_class(annotation: Any, module: str, name: str) -> bool:
    cls = get_origin(annotation) or annotation
    return getattr(cls, "__module__", None) == module and getattr(cls, "__name__", None) == name


def _plain_type(annotation: Any) -> Any:
    return get_origin(annotation) or annotation


def _dtype_argument(annotation: Any) -> str | None:
    """Return the element type of ``np.ndarray[shape, np.dtype[np.float32]]``."""
    for argument in get_args(annotation)[1:]:
        for scalar in get_args(argument):
            if isinstance(scalar, type) and scalar.__module__ == "numpy":
                return str(_name_of(scalar))
    return None


def _name_of(scalar: Callable[[], Any]) -> Any:
    try:
        return scalar().dtype.name
    except TypeError:  # an abstract kind of numbers, such as numpy.floating
        return None


def _without_metadata(field: Any) -> Any:
    plain = copy(field)
    plain.metadata = []
    return plain
