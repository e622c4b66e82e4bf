"""Output: how what an API returns becomes the bytes of a response, decided once from its annotation."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import orjson
from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ...exceptions import BentoMLException
from .adapter import adapt
from .arrays import as_array
from .files import ContentType, FileAnswer, Sent, SentFile, file_answer
from .form_answer import FormAnswer, answer_parts
from .frames import DataframeSchema, SeriesSchema, cells
from .images import SentImage, encode_image
from .npy import NPY, prefers_npy, write_npy
from .schema import schema_of
from .sse import SSE
from .tensors import TensorSchema
from .types import (
    content_type,
    holds_files,
    is_response,
    is_text,
    not_none,
    special,
    special_of_optional,
    stream_chunk,
    unwrap,
)

__all__ = ["Output", "OutputError"]

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
STREAM = "text/event-stream"

FORM = "multipart/form-data"

Answer = tuple[bytes | FileAnswer | FormAnswer, str]

_dumps = orjson.dumps
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z

# Annotations whose values are JSON without a look at their parts, and the class that such a value must have.
_CONTAINERS: dict[Any, type] = {
    Any: object,
    object: object,
    dict: dict,
    dict[str, Any]: dict,
    dict[Any, Any]: dict,
    list: list,
    list[Any]: list,
    list[dict[str, Any]]: list,
}


class OutputError(BentoMLException):
    """An API returned a value that does not fit its annotation: the fault of the service, not of its caller."""


class Output:
    """Encode what an API returns; ``media_type`` is that of an ordinary value, a file brings its own.

    Numbers that JSON does not have (NaN, infinities) are sent as ``null``.
    """

    def __init__(self, annotation: Any, *, is_stream: bool = False) -> None:
        chunk = stream_chunk(annotation)
        self.is_stream = is_stream or chunk is not None
        declared = content_type(annotation)
        if self.is_stream:
            annotation = Any if chunk is None else str if chunk is SSE else chunk
            declared = declared or content_type(annotation)
        self._declared = declared
        self._name = _name(annotation)
        self.is_free = is_response(annotation)  # what comes is up to the API: nothing is known before
        self._annotation = adapt(Any if self.is_free else annotation, "output")
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(self._annotation)
            self._schema = schema_of(self._adapter)
        except (PydanticSchemaGenerationError, PydanticUserError) as e:
            raise TypeError(f"no output is known for the annotation `{self._name}`: {e}") from e
        self._validate = self._adapter.validator.validate_python
        self._to_json = self._adapter.serializer.to_json
        self._is_text = self._schema.get("type") == "string" and (
            self.is_stream or is_text(self._adapter.core_schema)
        )
        self._takes_text = self._annotation in (str, Any)
        plain = unwrap(self._annotation)[0]
        self.is_optional_bytes = not self.is_stream and plain is not bytes and not_none(plain) is bytes
        self._whole = self._file_encoder(self._annotation)
        self._is_union = get_origin(unwrap(self._annotation)[0]) in (Union, UnionType)
        is_form = self._whole is None and holds_files(self._schema)
        if is_form:
            self._whole = self._form
        self._body, default = self._choose()
        self.media_type = FORM if is_form else self._media_type(default)
        self._array = special_of_optional(self._annotation)
        is_array = isinstance(self._array, TensorSchema)
        self.may_be_npy = is_array and not self.is_stream and declared is None

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the value, or of one step of the stream."""
        extra: dict[str, Any] = {"is_stream": True} if self.is_stream else {}
        if self.is_stream or (self._declared and self._whole is None):
            extra["media_type"] = self._declared or self.media_type
        return self._schema | extra

    def encode(self, value: Any) -> Answer:
        """Return the body and its media type.

        Raises:
            OutputError: the value does not fit the annotation.
        """
        if self._whole is not None:
            return self._whole(value)
        return self._body(value), self.media_type

    def encode_for(self, value: Any, accept: bytes) -> Answer:
        """Return the body in NPY format where the caller's ``Accept`` names that first, else as ``encode`` does.

        Raises:
            OutputError: the value does not fit the annotation.
        """
        if value is None or not prefers_npy(accept):
            return self.encode(value)
        try:
            return self._npy(value), NPY
        except OutputError:
            return self.encode(value)  # text, which NPY does not hold; or the error as it is always told

    def encode_chunk(self, value: Any) -> bytes:
        """Return the bytes of one step of a stream: text and bytes as they are, anything else as one line of JSON.

        Raises:
            OutputError: the value does not fit the annotation.
        """
        if type(value) is str and self._takes_text:
            return self._utf8(value)
        if isinstance(value, bytes):
            return value
        if isinstance(value, SSE):
            return value.marshal().encode()
        if self._whole is not None:
            raise self._error(value, "a file cannot be one step of a stream; yield its bytes")
        body = self._body(value)
        return body if self._is_text else body + b"\n"

    def _media_type(self, default: str) -> str:
        if self._declared is None:
            return STREAM if self.is_stream else default
        is_plain = self.is_stream or default != TEXT or not self._declared.startswith("text/")
        return (
            self._declared if is_plain or "charset=" in self._declared else f"{self._declared}; charset=utf-8"
        )

    def _choose(self) -> tuple[Callable[[Any], bytes], str]:
        """Return how an ordinary value is encoded and the media type of that."""
        inner, metadata = unwrap(self._annotation)
        match special(self._annotation):
            case TensorSchema() if self._declared == NPY:
                return self._npy, NPY
            case TensorSchema() as tensor:
                return self._converted(tensor.to_array), JSON
            case (DataframeSchema() | SeriesSchema()) as table:
                return self._converted(table.to_json_value), JSON
        if inner is bytes or self.is_optional_bytes:
            return self._bytes, TEXT
        if self._is_text:
            return self._text, TEXT
        if inner in _CONTAINERS and all(isinstance(m, ContentType) for m in metadata):
            return self._container(_CONTAINERS[inner]), JSON
        return (self._simple if _is_simple(inner) else self._typed), JSON

    def _file_encoder(self, annotation: Any) -> Callable[[Any], Answer] | None:
        """Return how a file or an image is sent; None where the annotation is neither."""
        match special(annotation):
            case SentFile(schema):
                return lambda value: self._file(value, schema.content_type)
            case SentImage(schema):
                return lambda value: self._image(value, schema.content_type)
        plain = unwrap(annotation)[0]
        inner = not_none(plain)
        if self.is_optional_bytes:
            return lambda value: (b"null", JSON) if value is None else (self._bytes(value), self.media_type)
        if inner is plain or (encode := self._file_encoder(inner)) is None:
            return None
        return lambda value: (b"null", JSON) if value is None else encode(value)

    def _text(self, value: Any) -> bytes:
        if type(value) is str and self._annotation is str:
            return self._utf8(value)
        text = self._adapter.serializer.to_python(self._validated(value), mode="json")
        return self._utf8(str(text))

    def _utf8(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError as e:
            raise self._error(value=text, reason=e) from e

    def _bytes(self, value: Any) -> bytes:
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        return value if type(value) is bytes else bytes(self._validated(value))

    def _container(self, container: type) -> Callable[[Any], bytes]:
        typed = self._typed

        def encode(value: Any) -> bytes:
            if not isinstance(value, container):
                return typed(value)
            try:
                return _dumps(value, _plain, _OPTIONS)
            except orjson.JSONEncodeError:  # keys that are no strings, integers over 64 bits
                return typed(value)

        return encode

    def _simple(self, value: Any) -> bytes:
        try:
            valid = self._validate(value)
        except ValidationError as e:
            valid = self._of_array(value, e)
        try:
            return _dumps(valid, _plain, _OPTIONS)
        except orjson.JSONEncodeError:  # integers over 64 bits
            return self._typed(valid)

    def _typed(self, value: Any) -> bytes:
        try:
            valid = self._validate(value)
        except ValidationError as e:
            valid = self._of_array(value, e)
        try:
            return self._to_json(valid, by_alias=True, fallback=_plain, warnings=False)
        except (PydanticSerializationError, TypeError, ValueError) as e:
            raise self._error(valid, e) from e

    def _converted(self, convert: Callable[[Any], Any]) -> Callable[[Any], bytes]:
        def encode(value: Any) -> bytes:
            try:
                return _dumps(convert(value), _plain, _OPTIONS)
            except (ValueError, TypeError) as e:
                raise self._error(value, e) from e

        return encode

    def _npy(self, value: Any) -> bytes:
        schema = self._array
        try:
            return write_npy(schema.to_array(value) if isinstance(schema, TensorSchema) else value)
        except ValueError as e:
            raise self._error(value, e) from e

    def _form(self, value: Any) -> Answer:
        valid = self._validated(value)
        try:
            tree = self._adapter.serializer.to_python(valid, by_alias=True, warnings=False)
            if isinstance(tree, Sent):  # of a union
                return _single(tree)
            parts = tuple(answer_parts(tree, lambda part: _dumps(part, _plain, _OPTIONS)))
            if self._is_union and not any(part.is_file for part in parts):
                return _dumps(tree, _plain, _OPTIONS), JSON
        except (PydanticSerializationError, TypeError, ValueError, OSError) as e:
            raise self._error(valid, e) from e
        return FormAnswer(parts), FORM

    def _image(self, value: Any, declared: str | None) -> Answer:
        try:
            return encode_image(value, declared)
        except (OSError, KeyError, ValueError, AttributeError) as e:
            raise self._error(value, e) from e

    def _file(self, value: Any, declared: str | None) -> Answer:
        if not isinstance(value, str | os.PathLike):
            raise self._error(value, "it is not a path")
        path = Path(value)
        if not path.is_file():
            raise self._error(value, f"there is no file `{path}`")
        answer = file_answer(path, declared)
        return answer, answer.media_type

    def _validated(self, value: Any) -> Any:
        try:
            return self._validate(value)
        except ValidationError as e:
            return self._of_array(value, e)

    def _of_array(self, value: Any, first: ValidationError) -> Any:
        """Return what a value that does not fit means as an array; raise the first error where it is none."""
        converted = _from_array(value)
        if converted is value:
            raise self._error(value, first) from first
        try:
            return self._validate(converted)
        except ValidationError as e:
            raise self._error(value, e) from e

    def _error(self, value: object, reason: object) -> OutputError:
        return OutputError(
            f"the API returned a value of type `{type(value).__name__}` that does not fit `{self._name}`: {reason}"
        )


def _single(sent: Sent) -> Answer:
    """Return a file as an answer of its own."""
    if isinstance(sent.content, bytes):
        return sent.content, sent.media_type
    answer = file_answer(sent.content, sent.media_type)
    return answer, answer.media_type


def _is_simple(annotation: Any) -> bool:
    """Say whether valid values consist of JSON's own types alone, which the quicker writer knows."""
    inner, _ = unwrap(annotation)
    if inner in (int, float, str, bool, None, type(None)):
        return True
    arguments = [a for a in get_args(inner) if a is not ...]
    if not arguments or (get_origin(inner) is dict and arguments[0] is not str):
        return False  # `typing.Dict` alone has an origin and no arguments
    return get_origin(inner) in (list, tuple, dict, Union, UnionType) and all(map(_is_simple, arguments))


def _plain(value: Any) -> Any:
    """Return what JSON can hold for the types that the encoders do not know."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, fallback=_plain)
    if (converted := _from_array(value)) is not value:
        return converted
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if type(value).__name__ in ("NaTType", "NAType"):  # what pandas has where a value is missing
        return None
    if isinstance(value, range):
        return list(value)
    try:
        return to_jsonable_python(value, by_alias=True)
    except PydanticSerializationError as e:
        raise TypeError(f"a value of type `{type(value).__name__}` has no JSON") from e


def _from_array(value: Any) -> Any:
    """Return the plain Python of an array, tensor or table, or of one of numpy's numbers; any other value as it is."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return DataframeSchema().to_json_value(value)
    if hasattr(value, "isna") and hasattr(value, "tolist"):
        return cells(value)
    if hasattr(value, "tolist") or type(value).__module__.startswith("tensorflow."):
        return as_array(value).tolist()
    return value


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
