"""Input: how the body of a request becomes keyword arguments, decided once from the signature of an API."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
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

from ...exceptions import BadInput, BentoMLException
from .adapter import adapt
from .descriptor import IODescriptor
from .fail_fast import LARGE, BySize
from .files import FileAnswer, Part
from .forms import Folder, Form, error_line
from .frames import DataframeSchema, SeriesSchema
from .npy import NPY, read_npy
from .output import Output, OutputError
from .schema import flat_optional, schema_of
from .structures import AdaptedModel, fields_of
from .tensors import TensorSchema
from .types import file_shape, holds_files, is_any_text, special, special_of_optional, unwrap

__all__ = ["FileAnswer", "Input", "Output", "OutputError", "Parameter", "Part"]

# The media types of a body whose sender does not know its type: curl's and that of unknown files.
_UNSAID = ("", "application/octet-stream", "application/x-www-form-urlencoded")
_BOM = b"\xef\xbb\xbf"
_JSON_ALONE = TensorSchema | DataframeSchema | SeriesSchema  # what Python's own lists and objects say in full

Arguments = dict[str, Any]


class Parameter(NamedTuple):
    """One parameter of an API that its caller fills in."""

    name: str
    annotation: Any
    default: Any
    kind: inspect._ParameterKind


class Input(ABC):
    """Decode the body of a request.

    ``root``: the body itself is the one positional argument. ``is_raw``: it is taken as it is (text, bytes, a file),
    whatever its media type says. ``is_text``: it is text, for which a character set counts. ``files``: the names of the
    fields that take files.

    Each ``from_...`` raises ``pydantic.ValidationError`` or ``BadInput`` for what is the caller's fault.
    """

    root: bool = False
    is_raw: bool = False
    is_text: bool = False
    files: frozenset[str] = frozenset()
    takes_urls: bool = False  # an address may stand for a file

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
        return FieldsInput(_adapted_class(spec))

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
    def from_npy(self, body: bytes) -> Arguments:
        """Return the one argument, an array, that is the body in NPY format."""

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
        self._takes_more = model.model_config.get("extra") == "allow"
        # Whether the fields of the model are the arguments.
        self._as_it_is = not (renamed or spread or self._takes_more)
        self._validator = model.__pydantic_validator__
        self._by_size = BySize(self._validator, model.__pydantic_core_schema__)
        fields = fields_of(model)
        self._form = Form(fields, self._by_size)
        self.files = self._form.files
        self._is_quick = all(isinstance(special(a), _JSON_ALONE) for a in fields.values())
        arrays = [n for n, a in fields.items() if isinstance(special_of_optional(a), TensorSchema)]
        self._array = arrays[0] if len(arrays) == len(fields) == 1 else None

    def schema(self) -> dict[str, Any]:
        schema = schema_of(TypeAdapter(self._model))
        schema["title"] = self._model.__name__
        properties = {k: flat_optional(v) for k, v in schema.get("properties", {}).items()}
        if self.takes_urls:
            properties |= {name: _with_url(properties[name]) for name in self.files}
        return schema | {"properties": properties}

    def from_json(self, body: bytes) -> Arguments:
        if self._is_quick:
            return self._arguments(_quickly(self._by_size.of(len(body)), body or b"{}"))
        validator = self._validator if len(body) <= LARGE else self._by_size.of(len(body))
        try:
            model = validator.validate_json(body or b"{}")
        except ValidationError:
            model = _without_mark(validator, body)
        return model.__dict__ if self._as_it_is else self._arguments(model)

    def from_raw(self, body: bytes, media_type: str, folder: Folder) -> Arguments:
        return self.from_json(body)

    def from_npy(self, body: bytes) -> Arguments:
        if self._array is None:
            raise _no_array("this API takes other fields than one array")
        value = _read_npy(body)
        return self._arguments(self._validator.validate_python({self._array: value}))

    def from_parts(self, parts: Sequence[Part], folder: Folder | None = None) -> Arguments:
        return self._arguments(self._form.read(parts, folder))

    def _arguments(self, model: BaseModel) -> Arguments:
        arguments = model.__dict__
        if self._takes_more:
            arguments = {**(model.__pydantic_extra__ or {}), **arguments}
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
        annotation = adapt(parameter.annotation)
        if parameter.default is not inspect.Parameter.empty:
            given = parameter.default
            field = given if isinstance(given, FieldInfo) else Field(default=given)
            annotation = Annotated[annotation, field]
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        except (PydanticSchemaGenerationError, PydanticUserError) as e:
            raise TypeError(str(e)) from e
        schema = schema_of(self._adapter)
        self._takes_null = {"type": "null"} in schema.get("anyOf", ())
        self._schema = flat_optional(schema)
        fields = fields_of(annotation)
        self._by_size = BySize(self._adapter.validator, self._adapter.core_schema)
        self._form = Form(fields, self._by_size) if fields else None
        if file_shape(annotation) == "one":
            self.files = frozenset({self._name})
        elif self._form is not None:
            self.files = self._form.files
        elif holds_files(self._schema):
            raise TypeError(
                f"the root input `{self._name}` is one file; make several files an ordinary parameter"
            )
        declared = unwrap(parameter.annotation)[0]
        self._is_model = isinstance(declared, type) and issubclass(declared, BaseModel)
        self._is_file = file_shape(annotation) == "one"
        is_string = self._schema.get("type") == "string"
        self.is_text = is_string and self._schema.get("format") != "binary"
        self._is_quotable = self.is_text and not is_any_text(self._adapter.core_schema)
        self._is_quick = isinstance(special(annotation), _JSON_ALONE)
        self._is_array = isinstance(special_of_optional(annotation), TensorSchema)
        self.is_raw = self._is_file or is_string

    def schema(self) -> dict[str, Any]:
        schema = _with_url(self._schema) if self.takes_urls and self.files else self._schema
        return schema | {"root_input": True}

    def from_json(self, body: bytes) -> Arguments:
        if self.is_raw:
            return self.from_raw(body, "application/json", _no_folder)
        if not body and (default := self._adapter.get_default_value()) is not None:
            return {self._name: default.value}
        read = _quickly if self._is_quick else _validate_json
        return self._located(lambda: read(self._by_size.of(len(body)), body or b"{}"))

    def from_raw(self, body: bytes, media_type: str, folder: Folder) -> Arguments:
        if not self.is_raw:
            return self.from_json(body)
        if not body and (default := self._adapter.get_default_value()) is not None:
            return {self._name: default.value}
        if self._takes_null and self._is_null(body, media_type):
            return {self._name: None}
        said = None if media_type in _UNSAID else media_type
        value = Part(self._name, self._name, said, body) if self._is_file else self._text(body, media_type)
        return self._located(lambda: self._adapter.validator.validate_python(value, context=folder))

    def from_npy(self, body: bytes) -> Arguments:
        if not self._is_array:
            raise _no_array(f"the input `{self._name}` is none")
        value = _read_npy(body)
        return self._located(lambda: self._adapter.validator.validate_python(value))

    def from_parts(self, parts: Sequence[Part], folder: Folder | None = None) -> Arguments:
        if (form := self._form) is not None:
            return self._located(lambda: form.read(parts, folder))
        if not self.is_raw or len(parts) != 1:
            one = "; a form with the file as its only part will do, too" if self._is_file else ""
            raise BadInput(f"the body itself is the input `{self._name}`; send it without a form{one}")
        value = parts[0] if self._is_file else self._text(parts[0].content(), parts[0].content_type)
        return self._located(lambda: self._adapter.validator.validate_python(value, context=folder))

    def _is_null(self, body: bytes, media_type: str) -> bool:
        """Say whether a body that is taken as it is stands for None: JSON's `null`, or no file at all."""
        if self._is_file and not body:
            return media_type in ("", "application/json")
        return media_type == "application/json" and body.strip() == b"null"

    def _text(self, body: bytes, media_type: str | None) -> str | bytes | None:
        """Return the text as it is; where the input is not any text, JSON may say it in quotes, or say `null`."""
        if not self.is_text:
            return body
        try:
            text = body.decode()
        except UnicodeDecodeError as e:
            raise BadInput("the body is not UTF-8 text") from e
        return _unquoted(text) if self._is_quotable and media_type == "application/json" else text

    def _located(self, read: Callable[[], Any]) -> Arguments:
        """Name the root in an error: BentoML's title and, where the body is no object, its location."""
        try:
            return {self._name: read()}
        except ValidationError as e:
            prefix = () if self._is_model else ("root",)
            lines = [
                error_line(line, () if line["type"] == "json_invalid" else prefix) for line in e.errors()
            ]
        raise ValidationError.from_exception_data(self._title, lines, input_type="json")


def _of_fields(parameters: Sequence[Parameter]) -> FieldsInput:
    fields: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    spread = None
    for index, parameter in enumerate(parameters):
        name, annotation = parameter.name, adapt(parameter.annotation)
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            spread, annotation, default = name, dict[str, annotation], ...  # type: ignore[valid-type]  # made here
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


def _adapted_class(spec: type[BaseModel]) -> type[BaseModel]:
    """Return the adapted subclass of a model, named as errors name it."""
    adapted = adapt(spec)
    model = next((m.adapted for m in unwrap(adapted)[1] if isinstance(m, AdaptedModel)), spec)
    name = spec.__name__ if issubclass(spec, IODescriptor) else f"{spec.__name__}IODescriptor"
    return create_model(name, __base__=model, __module__=spec.__module__)


def _validate_json(validator: Any, body: bytes) -> Any:
    try:
        return validator.validate_json(body)
    except ValidationError:
        return _without_mark(validator, body)


def _without_mark(validator: Any, body: bytes) -> Any:
    """Read JSON that did not fit again where it began with a byte order mark, which may be ignored (RFC 8259, 8.1)."""
    if body.startswith(_BOM):
        return validator.validate_json(body.removeprefix(_BOM))
    raise  # the error that is being handled


def _quickly(validator: Any, body: bytes) -> Any:
    """Read arrays with the quicker of two JSON readers; whatever it refuses, the other one decides and explains.

    It rounds integers of more than 64 bits, which arrays do not hold anyway.
    """
    try:
        return validator.validate_python(orjson.loads(body))
    except (orjson.JSONDecodeError, ValidationError):
        return _validate_json(validator, body)


def _unquoted(text: str) -> str | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if value is None or isinstance(value, str) else text


def _read_npy(body: bytes) -> Any:
    try:
        return read_npy(body)
    except ValueError as e:
        raise BadInput(str(e)) from e


def _no_array(reason: str) -> BentoMLException:
    return BentoMLException(
        f"a body of type {NPY} is one array, and {reason}; send JSON, or a form with the array as a part",
        error_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    )


def _no_folder() -> Path:
    raise BadInput("send the file itself as the body")


def _with_url(schema: dict[str, Any]) -> dict[str, Any]:
    """Say of a file, or of the files of a list, that an address may stand for it."""
    if "items" in schema:
        return schema | {"items": _with_url(schema["items"])}
    return schema | {"url": True}
