"""Models, dataclasses, named tuples and typed dictionaries whose fields pydantic would not know: their schema, adapted.

Each class stays what it is: what is read is an instance of the user's own class, and so is what is written.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from copy import copy
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import typing_extensions
from pydantic import BaseModel, GetCoreSchemaHandler, create_model
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from .types import substituted

__all__ = [
    "AdaptedModel",
    "Direction",
    "adapted_dataclass",
    "adapted_model",
    "adapted_named_tuple",
    "adapted_typed_dict",
    "fields_of",
]

Adapt = Callable[[Any], Any]
Direction = Literal["input", "output"]


def fields_of(annotation: Any) -> dict[str, Any]:
    """Return the fields of an adapted structure by the name that callers use; nothing for any other type."""
    is_annotated = get_origin(annotation) is Annotated
    inner: Any = annotation.__origin__ if is_annotated else annotation
    for marker in annotation.__metadata__ if is_annotated else ():
        if isinstance(marker, AdaptedModel):
            inner = marker.adapted
        elif isinstance(marker, AdaptedFields):
            return dict(marker.hints)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return {_alias(name, field): _whole(field) for name, field in inner.model_fields.items()}
    if typing_extensions.is_typeddict(inner) or dataclasses.is_dataclass(inner):
        return get_type_hints(inner)
    return {}


def adapted_model(cls: type[BaseModel], adapt: Adapt, direction: Direction) -> Any:
    """Return a pydantic model with its fields adapted."""
    changed: dict[str, Any] = {}
    for name, field in cls.model_fields.items():
        whole = _whole(field)
        adapted = adapt(whole)
        if adapted != whole:
            changed[name] = (adapted, _without_metadata(field))
    if not changed:
        return cls
    adapted_class = create_model(cls.__name__, __base__=cls, __module__=cls.__module__, **changed)
    return Annotated[cls, AdaptedModel(adapted_class, direction)]


def adapted_dataclass(annotation: Any, adapt: Adapt, direction: Direction) -> Any:
    """Return a dataclass with its fields adapted."""
    cls: Any = get_origin(annotation) or annotation
    hints, adapted = _adapted_hints(annotation, adapt)
    names = {f.name for f in dataclasses.fields(cls) if f.init or direction == "output"}
    fields = tuple((name, hint) for name, hint in adapted.items() if name in names)
    return annotation if adapted == hints else Annotated[cls, AdaptedFields(fields, direction)]


def adapted_named_tuple(cls: Any, adapt: Adapt, direction: Direction) -> Any:
    """Return a named tuple with its fields adapted."""
    hints, adapted = _adapted_hints(cls, adapt)
    return cls if adapted == hints else Annotated[cls, AdaptedFields(tuple(adapted.items()), direction)]


def adapted_typed_dict(annotation: Any, adapt: Adapt) -> Any:
    """Return a typed dictionary with its items adapted, and as pydantic needs it."""
    cls: Any = get_origin(annotation) or annotation
    items: dict[str, Any] = {}
    changed = _is_incomplete(cls)
    for name, hint in get_type_hints(cls, include_extras=True).items():
        origin = get_origin(hint)
        if origin not in (Required, NotRequired):
            origin = Required if name in cls.__required_keys__ else NotRequired
        else:
            hint = get_args(hint)[0]
        items[name] = origin[adapted := adapt(hint)]
        changed = changed or adapted != hint
    if not changed:
        return annotation
    make: Any = typing_extensions.TypedDict
    made = make(cls.__name__, items)
    made.__module__, made.__doc__ = cls.__module__, cls.__doc__
    if hasattr(cls, "__pydantic_config__"):
        made.__pydantic_config__ = cls.__pydantic_config__
    return made


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptedModel:
    """The schema of the adapted subclass of a model, for the model itself."""

    adapted: type[BaseModel]
    direction: Direction

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler.generate_schema(self.adapted)
        if self.direction == "input":
            return core_schema.no_info_after_validator_function(lambda value: _recast(value, source), schema)
        return core_schema.no_info_before_validator_function(self._to_adapted, schema)

    def _to_adapted(self, value: Any) -> Any:
        own = self.adapted.__mro__[1]
        is_own = isinstance(value, BaseModel) and isinstance(value, own)
        return _recast(value, self.adapted) if is_own else value


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptedFields:
    """The adapted types of the fields of a dataclass or a named tuple, which is read from an object of these."""

    hints: tuple[tuple[str, Any], ...]
    direction: Direction

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schemas = {name: handler.generate_schema(hint) for name, hint in self.hints}
        if self.direction == "output" and issubclass(source, tuple):
            return core_schema.tuple_schema(list(schemas.values()))
        fields = core_schema.typed_dict_schema(
            {
                name: core_schema.typed_dict_field(schema, required=not _has_default(source, name))
                for name, schema in schemas.items()
            },
            cls_name=source.__name__,
        )
        if self.direction == "output":
            return core_schema.no_info_before_validator_function(self._to_dict, fields)
        made = core_schema.no_info_after_validator_function(lambda values: source(**values), fields)
        if not issubclass(source, tuple):
            return made
        return core_schema.no_info_before_validator_function(self._named, made)

    def _to_dict(self, value: Any) -> Any:
        return (
            {name: getattr(value, name) for name, _ in self.hints}
            if dataclasses.is_dataclass(value)
            else value
        )

    def _named(self, value: Any) -> Any:
        """Return the fields of a named tuple that came as a list."""
        if isinstance(value, list | tuple) and len(value) <= len(self.hints):
            return {name: item for (name, _), item in zip(self.hints, value, strict=False)}
        return value


def _recast(value: BaseModel, cls: type[BaseModel]) -> BaseModel:
    """Return a model as an instance of a class with the same fields."""
    made = cls.__new__(cls)
    for attribute in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
        object.__setattr__(made, attribute, getattr(value, attribute, None))
    return made


def _has_default(cls: Any, name: str) -> bool:
    if issubclass(cls, tuple):
        return name in cls._field_defaults
    field = cls.__dataclass_fields__[name]
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _adapted_hints(annotation: Any, adapt: Adapt) -> tuple[dict[str, Any], dict[str, Any]]:
    cls: Any = get_origin(annotation) or annotation
    given = dict(zip(getattr(cls, "__parameters__", ()), get_args(annotation), strict=False))
    hints = {name: substituted(h, given) for name, h in get_type_hints(cls, include_extras=True).items()}
    return hints, {name: adapt(hint) for name, hint in hints.items()}


def _is_incomplete(cls: Any) -> bool:
    """Say whether a typed dictionary lacks what pydantic needs, as those of ``typing`` do before Python 3.12."""
    return sys.version_info < (3, 12) and is_typeddict(cls)


def _whole(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _alias(name: str, field: FieldInfo) -> str:
    return field.validation_alias if isinstance(field.validation_alias, str) else name


def _without_metadata(field: FieldInfo) -> FieldInfo:
    plain = copy(field)
    plain.metadata = []
    return plain
