"""Values: what is JSON on the wire, from Python and back, guided by the schema of a field."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from pydantic_core import PydanticSerializationError, to_json

from ..exceptions import BentoMLException, InvalidArgument
from .arrays import NPY, from_npy, to_array
from .deep_json import loads
from .optional import load_optional

__all__ = ["decode", "encode", "from_json", "plain_optional"]

Schema = Mapping[str, Any]


def encode(name: str, value: object, schema: Schema) -> bytes:
    """Return the JSON of an argument: arrays as nested lists, tables as their schema says, models as objects.

    Raises:
        InvalidArgument: the value holds something that JSON cannot.
    """
    if schema.get("type") == "dataframe" and hasattr(value, "to_dict"):
        value = value.to_dict(orient="list" if schema.get("orient") == "columns" else "records")
    try:
        if (array := to_array(value)) is not None:
            return orjson.dumps(array, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
        return to_json(value, fallback=_plain, inf_nan_mode="constants")
    except (TypeError, ValueError, PydanticSerializationError) as e:
        raise InvalidArgument(f"argument `{name}` cannot be sent as JSON: {e}") from e


def decode(body: bytes, media_type: str, schema: Schema) -> Any:
    """Return the value that an answer holds.

    Text comes back as ``str``, raw bytes as ``bytes``, a tensor as ``numpy.ndarray``, a table as
    ``pandas.DataFrame``, a model as ``dict``. Where the schema says nothing, the media type decides.

    Raises:
        BentoMLException: the body is not what the schema says.
        MissingDependencyException: numpy or pandas is needed and not installed.
    """
    schema = plain_optional(schema)
    if media_type == NPY:
        return from_npy(body)
    if schema.get("format") == "binary" and not (_is_json(media_type) and "nullable" in schema):
        return body
    if _is_bare_text(schema, media_type):
        return body.decode(errors="replace")
    if not _is_json(media_type):
        return body.decode(errors="replace") if media_type.startswith("text/") else body
    try:
        value = _loads_array(body) if schema.get("type") == "tensor" else loads(body)
    except ValueError as e:
        if schema.get("type") in (None, "string"):  # BentoML 1.x sends text raw, whatever the media type says
            return body.decode(errors="replace")
        raise BentoMLException(f"the server's answer is not JSON: {e}") from e
    if (
        isinstance(value, str) and schema.get("format") == "binary"
    ):  # optional bytes, as BentoML 1.x answers them
        return value.encode()
    return from_json(value, schema)


def from_json(value: Any, schema: Schema) -> Any:
    """Return a decoded JSON value as the type that its schema names."""
    if value is None:
        return None
    if schema.get("type") == "tensor":
        return _array(value, schema)
    if schema.get("type") == "dataframe":
        return load_optional("pandas", "a table as the answer of an API", "io-pandas").DataFrame(value)
    return value


def _is_bare_text(schema: Schema, media_type: str) -> bool:
    """Say whether an answer is text as it is; dates, enums and the like are texts in JSON, unless a type is declared."""
    if schema.get("type") != "string" or "nullable" in schema:
        return False
    return "media_type" in schema or not _is_json(media_type)


def plain_optional(schema: Schema) -> Schema:
    """Return the schema of X for that of X or null, marked ``nullable``; any other as it is."""
    branches = schema.get("anyOf", ())
    others = [branch for branch in branches if branch != {"type": "null"}]
    return {**others[0], "nullable": True} if len(branches) == 2 and len(others) == 1 else schema


def _array(value: Any, schema: Schema) -> Any:
    numpy = load_optional("numpy", "an array as the answer of an API", "numpy")
    array = numpy.asarray(value, dtype=schema.get("dtype"))
    return array.astype(numpy.float64) if array.dtype == object else array  # null among numbers is NaN


def _loads_array(body: bytes) -> Any:
    """Read nested lists of numbers quickly; BentoML 1.x may send NaN, which only the slow reader takes."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return loads(body)


def _is_json(media_type: str) -> bool:
    return not media_type or media_type == "application/json" or media_type.endswith("+json")


def _plain(value: Any) -> Any:
    """Return what JSON can hold for arrays, tensors, numpy's numbers, tables, paths and collections of any kind."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_dict"):
        return value.to_dict(orient="records")
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if (array := to_array(value)) is not None:
        return array.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Collection):  # a range, the values of a dictionary, ...
        return list(value)
    raise TypeError(f"a value of type `{type(value).__name__}` has no JSON")
