"""Input: how the body of a request becomes keyword arguments, decided once from the signature of an API."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PydanticSchemaGenerationError,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError, from_json

from ..exceptions import BadInput
from .files import FileAnswer, Part
from .output import Output, OutputError
from .schema import flat_optional, schema_of
from .tensors import TensorSchema
from .types import adapt, file_shape, special, unwrap

__all__ = ["FileAnswer", "Input", "Output", "OutputError", "Parameter", "Part"]

# The media types of a body whose sender does not know its type: curl's and that of unknown files.
_UNSAID = ("", "application/octet-stream", "application/x-www-form-urlencoded")
_NO_LIST = ("list_type", "set_type", "frozen_set_type", "tuple_type")

Arguments = dict[str, Any]
Folder = Callable[[], Path]


class Parameter(NamedTuple):
    """One parameter of an API that its caller fills in."""

    name: str
    annotation: Any
    default: Any
    kind: inspect._ParameterKind


class Input(ABC):
    """Decode the body of a request.

    ``root``: the body itself is the one positional argument. ``is_raw``: it is taken as it is (text, bytes, a file),
    whatever its media type says. ``files``: the names of the fields that take files.

    Each ``from_...`` raises ``pydantic.ValidationError`` or ``BadInput`` for what is the caller's fault.
    """

    root: bool = False
    is_raw: bool = False
    files: frozenset[str] = frozenset()

    @classmethod
    def of_parameters(cls, parameters: Sequence[Parameter]) -> Input:
        """Return the input of a function with these parameters."""
        positional = [p for p in parameters if p.kind is inspect.Parameter.POSITIONAL_ONLY]
        if positional:
            if len(parameters) != 1:
                raise TypeError("an API with a positional-only parameter (its root input) takes no other one")
            return RootInput(positional[0])
        return _of_fields(parameters)

    @classmethod
    def of_spec(cls, spec: type[BaseModel]) -> Input:
        """Return the input that a pydantic model describes; its fields are the keyword arguments."""
        model = adapt(spec, models=True)
        return FieldsInput(create_model("Input", __base__=model, __module__=spec.__module__))

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the JSON schema, with `root_input` where the body itself is the argument."""

    @abstractmethod
    def from_json(self, body: bytes) -> Arguments:
        """Return the keyword arguments that a JSON body holds; an empty body is an empty object."""

    @abstractmethod
    def from_parts(self, parts: Sequence[Part], folder: Folder | None = None) -> Arguments:
        """Return the keyword arguments that a form holds; ``folder`` says where files in memory are to be written."""

    @abstractmethod
    def from_raw(self, body: bytes, media_type: str, folder: Folder) -> Arguments:
        """Return the argument that is the body itself; ``folder`` says where a file is to be written."""


class FieldsInput(Input):
    """An object with one field for each parameter."""

    def __init__(
        self, model: type[BaseModel], *, renamed: Mapping[str, str] | None = None, spread: str | None = None
    ) -> None:
        self._model = model
        self._renamed = renamed or {}
        self._spread = spread
        self._as_it_is = not renamed and spread is None  # the fields of the model are the arguments
        self._validator = model.__pydantic_validator__
        annotations = {_alias(n, f): _annotation(f) for n, f in model.model_fields.items()}
        self._names = frozenset(annotations)
        self._files = {name: shape for name, a in annotations.items() if (shape := file_shape(a))}
        self.files = frozenset(self._files)
        self._only_arrays = all(isinstance(special(a), TensorSchema) for a in annotations.values())

    def schema(self) -> dict[str, Any]:
        schema = schema_of(TypeAdapter(self._model))
        schema["title"] = "Input"
        schema["properties"] = {k: flat_optional(v) for k, v in schema.get("properties", {}).items()}
        return schema

    def from_json(self, body: bytes) -> Arguments:
        if self._only_arrays:
            return self._arguments(self._fast(body or b"{}"))
        model = self._validator.validate_json(body or b"{}")
        return model.__dict__ if self._as_it_is else self._arguments(model)

    def from_raw(self, body: bytes, media_type: str, folder: Folder) -> Arguments:
        return self.from_json(body)

    def from_parts(self, parts: Sequence[Part], folder: Folder | None = None) -> Arguments:
        groups = _grouped(parts)
        texts = {name: group for name, group in groups.items() if name in self._names - self.files}
        values = self._file_values(groups) | {
            name: _one(map(_decoded, group)) for name, group in texts.items()
        }
        try:
            model = self._validator.validate_python(values, context=folder)
        except ValidationError as e:
            wrong = {error["loc"][0]: error["type"] for error in e.errors() if error["loc"]}
            plain = {n: _as_text(group, wrong[n]) for n, group in texts.items() if n in wrong}
            model = self._validated_again(values | plain, folder, e)
        return self._arguments(model)

    def _file_values(self, groups: Mapping[str, list[Part]]) -> Arguments:
        values: Arguments = {}
        for name, shape in self._files.items():
            files = [_file_value(part) for part in groups.get(name, ()) if not _left_out(part)]
            if files:
                values[name] = files if shape == "many" else files[0]
        return values

    def _validated_again(self, values: Arguments, folder: Folder | None, first: ValidationError) -> BaseModel:
        """Try with the text of the fields that did not fit as JSON: ``tag=3`` is the text "3" for a string, and a list of
        one for a list."""
        try:
            model: BaseModel = self._validator.validate_python(values, context=folder)
        except ValidationError:
            raise first from None
        return model

    def _fast(self, body: bytes) -> BaseModel:
        """Read arrays with the quicker of two JSON readers; whatever it refuses, the other one decides and explains.

        It rounds integers of more than 64 bits, which arrays do not hold anyway.
        """
        try:
            model: BaseModel = self._validator.validate_python(orjson.loads(body))
        except (orjson.JSONDecodeError, ValidationError):
            model = self._validator.validate_json(body)
        return model

    def _arguments(self, model: BaseModel) -> Arguments:
        arguments = model.__dict__
        if self._renamed:
            arguments = {self._renamed.get(name, name): value for name, value in arguments.items()}
        if self._spread is not None:
            arguments = {**arguments.pop(self._spread), **arguments}
        return arguments


class RootInput(Input):
    """The body itself is the one positional argument."""

    root = True

    def __init__(self, parameter: Parameter) -> None:
        self._name = parameter.name
        self._title = f"{getattr(unwrap(parameter.annotation)[0], '__name__', 'Root')}IODescriptor"
        annotation = adapt(parameter.annotation, models=True)
        if parameter.default is not inspect.Parameter.empty:
            given = parameter.default
            field = given if isinstance(given, FieldInfo) else Field(default=given)
            annotation = Annotated[annotation, field]
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        self._schema = flat_optional(schema_of(self._adapter))
        if file_shape(annotation) == "one":
            self.files = frozenset({self._name})
        elif file_shape(annotation):
            raise TypeError(
                f"the root input `{self._name}` is one file; make several files an ordinary parameter"
            )
        self._is_text = self._schema.get("type") == "string"
        self.is_raw = bool(self.files) or self._is_text

    def schema(self) -> dict[str, Any]:
        return self._schema | {"root_input": True}

    def from_json(self, body: bytes) -> Arguments:
        if self.is_raw:
            return self.from_raw(body, "application/json", _no_folder)
        if not body and (default := self._adapter.get_default_value()) is not None:
            return {self._name: default.value}
        try:
            return {self._name: self._adapter.validator.validate_json(body or b"{}")}
        except ValidationError as e:
            raise self._located(e) from None

    def from_raw(self, body: bytes, media_type: str, folder: Folder) -> Arguments:
        if not self.is_raw:
            return self.from_json(body)
        if not body and (default := self._adapter.get_default_value()) is not None:
            return {self._name: default.value}
        said = None if media_type in _UNSAID else media_type
        value = Part(self._name, self._name, said, body) if self.files else self._text(body)
        try:
            return {self._name: self._adapter.validator.validate_python(value, context=folder)}
        except ValidationError as e:
            raise self._located(e) from None

    def from_parts(self, parts: Sequence[Part], folder: Folder | None = None) -> Arguments:
        raise BadInput(f"the body itself is the input `{self._name}`; send it without a form")

    def _text(self, body: bytes) -> str | bytes:
        if self._schema.get("format") == "binary":
            return body
        try:
            return body.decode()
        except UnicodeDecodeError as e:
            raise BadInput("the body is not UTF-8 text") from e

    def _located(self, error: ValidationError) -> ValidationError:
        """Name the root in an error: BentoML's title and, where the body is no object, its location."""
        prefix = () if self._schema.get("type") == "object" else ("root",)
        lines = [_line(e, () if e["type"] == "json_invalid" else prefix) for e in error.errors()]
        return ValidationError.from_exception_data(self._title, lines, input_type="json")


def _of_fields(parameters: Sequence[Parameter]) -> FieldsInput:
    fields: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    spread = None
    for index, parameter in enumerate(parameters):
        name, annotation = parameter.name, adapt(parameter.annotation, models=True)
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            spread, annotation, default = name, dict[str, annotation], {}  # type: ignore[valid-type]  # made here
        if name.startswith("_") or hasattr(BaseModel, name):  # pydantic cannot have a field of this name
            annotation = Annotated[annotation, Field(alias=name)]
            name = f"parameter_{index}"
            renamed[name] = parameter.name
        fields[name] = (annotation, default)
    config = ConfigDict(protected_namespaces=(), title="Input")
    try:
        model = create_model("Input", __config__=config, **fields)
    except (PydanticSchemaGenerationError, PydanticUserError) as e:
        raise TypeError(str(e)) from e
    return FieldsInput(model, renamed=renamed, spread=spread)


def _annotation(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _alias(name: str, field: FieldInfo) -> str:
    return field.validation_alias if isinstance(field.validation_alias, str) else name


def _grouped(parts: Sequence[Part]) -> Mapping[str, list[Part]]:
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.name, []).append(part)
    return groups


def _left_out(part: Part) -> bool:
    """Say whether a part is what a browser sends for a file field that nobody filled in."""
    return part.filename == "" and not part.content()


def _file_value(part: Part) -> Part | None:
    return None if part.filename is None and part.content() == b"null" else part


def _decoded(part: Part) -> Any:
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
        item = _decoded(group[0])
        return [item if isinstance(item, dict) else _text(group[0])]
    return _one(map(_text, group))


def _one(values: Iterable[Any]) -> Any:
    """Return the value of a field that came once, and the list of values of one that came several times."""
    several = list(values)
    return several[0] if len(several) == 1 else several


def _line(error: Any, prefix: tuple[str, ...]) -> InitErrorDetails:
    kind = error["type"] if "url" in error else PydanticCustomError(error["type"], error["msg"])
    return InitErrorDetails(
        type=kind, loc=(*prefix, *error["loc"]), input=error["input"], ctx=error.get("ctx", {})
    )


def _no_folder() -> Path:
    raise BadInput("send the file itself as the body")
