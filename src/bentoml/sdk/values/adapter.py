"""The walk through an annotation that puts a schema beside each array, table, file and image in it, at any depth."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typing_extensions
from pydantic import AfterValidator, BaseModel

from .arrays import as_array
from .files import ContentType, FileSchema, SentFile
from .frames import DataframeSchema, SeriesSchema
from .images import PILImageEncoder, SentImage
from .structures import Direction, adapted_dataclass, adapted_model, adapted_named_tuple, adapted_typed_dict
from .tensors import DType, Shape, TensorFormat, TensorSchema
from .types import Special, alias_value, special, unwrap

__all__ = ["adapt"]

_HOLDERS = (Union, types.UnionType, list, tuple, set, frozenset, Sequence, dict)
_PLAIN = {"bool_": bool, "integer": int, "floating": float}  # numpy's kinds of numbers and Python's


def adapt(annotation: Any, direction: Direction = "input") -> Any:
    """Return the annotation with a schema beside each array, table, file and image type in it.

    Models, dataclasses, named tuples and typed dictionaries that have such fields get a schema in which these are
    adapted; they stay the classes that they are. ``direction`` says whether files are uploads or answers.

    Raises:
        TypeError: a class contains itself and a type of these.
    """
    return _Adapter(direction).adapt(annotation)


class _Adapter:
    """Walk an annotation; a class or an alias that contains itself is met once."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._adapted: dict[Any, Any] = {}
        self._open: list[Any] = []
        self._recursive: list[Any] = []

    def adapt(self, annotation: Any) -> Any:
        inner, metadata = unwrap(annotation)
        if (value := alias_value(inner)) is not None:
            adapted = self._once(inner, lambda: self._alias(inner, value))
            deeper, more = unwrap(adapted)
            return self._finished(deeper, (*more, *metadata))
        return self._finished(inner, metadata)

    def _finished(self, inner: Any, metadata: tuple[Any, ...]) -> Any:
        if schema := _schema_of(inner, metadata):
            return Annotated[get_origin(inner) or inner, self._directed(schema), *_others(metadata)]
        if number := self._number(inner):
            return Annotated[number, *metadata] if metadata else number
        if markers := [m for m in metadata if isinstance(m, ContentType | DType | Shape)]:
            inner = _each(inner, markers)
        if make := self._class_adapter(inner):
            adapted = self._once(inner, make)
        else:
            adapted = self._arguments(inner)
        return Annotated[adapted, *metadata] if metadata else adapted

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what was made of a class or an alias before; itself where it is being made."""
        if key in self._open:
            self._recursive.append(key)
            return key
        if key not in self._adapted:
            self._open.append(key)
            self._adapted[key] = make()
            self._open.pop()
        return self._adapted[key]

    def _alias(self, alias: Any, value: Any) -> Any:
        adapted = self.adapt(value)
        return alias if alias in self._recursive else adapted

    def _class_adapter(self, inner: Any) -> Callable[[], Any] | None:
        cls = get_origin(inner) or inner
        if typing_extensions.is_typeddict(cls):
            return lambda: adapted_typed_dict(inner, self.adapt)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return lambda: self._not_recursive(inner, adapted_model(inner, self.adapt, self._direction))
        if dataclasses.is_dataclass(cls) and isinstance(cls, type):
            return lambda: self._not_recursive(cls, adapted_dataclass(inner, self.adapt, self._direction))
        if isinstance(inner, type) and issubclass(inner, tuple) and hasattr(inner, "_fields"):
            return lambda: self._not_recursive(inner, adapted_named_tuple(inner, self.adapt, self._direction))
        return None

    def _not_recursive(self, cls: type, adapted: Any) -> Any:
        if adapted is not cls and cls in self._recursive:
            raise TypeError(
                f"`{cls.__name__}` contains itself, and a file, an image, a table or an array; keep them apart"
            )
        return adapted

    def _arguments(self, annotation: Any) -> Any:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is None or origin is Literal or not arguments:
            return annotation
        adapted = tuple(self._argument(a) for a in arguments)
        if adapted == arguments:
            return annotation
        if origin in (Union, types.UnionType):
            # Text that an API returns as text is no file, also where there is one of that name.
            files_last = tuple(sorted(adapted, key=lambda a: isinstance(special(a), SentFile | SentImage)))
            return Union[files_last]  # noqa: UP007  # the branches are known at run time only
        return origin[adapted]

    def _argument(self, argument: Any) -> Any:
        return argument if argument is ... or isinstance(argument, list | str) else self.adapt(argument)

    def _number(self, inner: Any) -> Any:
        """Return what stands for one of numpy's numbers; None for any other type."""
        if not isinstance(inner, type) or inner.__module__ != "numpy" or not (dtype := _name_of(inner)):
            return None
        plain = next((p for kind, p in _PLAIN.items() if issubclass(inner, _numpy(kind))), None)
        if plain is None or self._direction == "output":
            return plain
        return Annotated[plain, AfterValidator(lambda value: as_array(value, dtype)[()])]

    def _directed(self, schema: Special) -> Special:
        """Return the schema of an answered file for that of an uploaded one, where this is an answer."""
        if self._direction == "output":
            if isinstance(schema, FileSchema):
                return SentFile(schema)
            if isinstance(schema, PILImageEncoder):
                return SentImage(schema)
        return schema


def _each(annotation: Any, markers: Sequence[Any]) -> Any:
    """Return a union or a list with markers beside each file and array in it that has none of its own."""
    if get_origin(annotation) is Annotated:
        return annotation
    if _schema_of(annotation, ()) is not None:
        return Annotated[annotation, *markers]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin not in _HOLDERS:
        return annotation
    marked = tuple(_each(a, markers) for a in arguments)
    return Union[marked] if origin in (Union, types.UnionType) else origin[marked]  # noqa: UP007  # as below


def _numpy(name: str) -> Any:
    import numpy as np

    return getattr(np, name)


def _schema_of(inner: Any, metadata: Sequence[Any]) -> Special | None:
    if given := next((m for m in reversed(metadata) if isinstance(m, Special)), None):  # the outermost
        return _merged(given, metadata)
    if array := _tensor_format(inner):
        return _merged(TensorSchema(array, dtype=_dtype_argument(inner)), metadata)
    if _is_class(inner, "pandas", "DataFrame"):
        return DataframeSchema()
    if _is_class(inner, "pandas", "Series"):
        return _merged(SeriesSchema(), metadata)
    if _is_class(inner, "PIL", "Image"):
        return _merged(PILImageEncoder(), metadata)
    if isinstance(inner, type) and issubclass(inner, PurePath):
        return _merged(FileSchema(), metadata)
    return None


def _merged(schema: Special, metadata: Sequence[Any]) -> Special:
    """Let the markers that stand beside a schema speak for what it leaves open."""
    for marker in metadata:
        match schema, marker:
            case ((TensorSchema() | SeriesSchema()), DType(dtype)):
                schema = dataclasses.replace(schema, dtype=dtype)
            case TensorSchema(), Shape(dimensions):
                schema = dataclasses.replace(schema, shape=dimensions)
            case ((FileSchema() | PILImageEncoder()), ContentType(media_type)):
                schema = dataclasses.replace(schema, content_type=media_type)
    return schema


def _others(metadata: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(m for m in metadata if not isinstance(m, Special | DType | Shape))


def _tensor_format(inner: Any) -> TensorFormat | None:
    if _is_class(inner, "numpy", "ndarray"):
        return "numpy-array"
    if _is_class(inner, "torch", "Tensor"):
        return "torch-tensor"
    if _is_class(inner, "tensorflow", "Tensor") or _is_class(inner, "tensorflow", "EagerTensor"):
        return "tf-tensor"
    return None


def _is_class(annotation: Any, package: str, name: str) -> bool:
    cls = get_origin(annotation) or annotation
    module = getattr(cls, "__module__", None) or ""
    return getattr(cls, "__name__", None) == name and module.partition(".")[0] == package


def _dtype_argument(annotation: Any) -> str | None:
    """Return the element type of ``np.ndarray[shape, np.dtype[np.float32]]``."""
    for argument in get_args(annotation)[1:]:
        for scalar in get_args(argument):
            if isinstance(scalar, type) and scalar.__module__ == "numpy":
                return _name_of(scalar)
    return None


def _name_of(scalar: Callable[[], Any]) -> str | None:
    try:
        return str(scalar().dtype.name)
    except (TypeError, AttributeError):  # an abstract kind of numbers, such as numpy.floating, or any object
        return None
