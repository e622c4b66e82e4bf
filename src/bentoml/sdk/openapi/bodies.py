"""The bodies of an API: what it takes and what it gives, by media type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..method import APIMethod
from .schemas import BINARY, Json, Schemas, binary

__all__ = ["answer", "request"]

_JSON, _FORM, _BYTES, _NPY = (
    "application/json",
    "multipart/form-data",
    "application/octet-stream",
    "application/x-npy",
)
_URLENCODED = "application/x-www-form-urlencoded"
_EVENT_STREAM = "text/event-stream"
_EVENTS: Json = {
    "description": "Text, or server-sent events, as they come; a stream that fails ends with the event `error`."
}
_PARTS = "A part for each field. A file inside of another value is a part of its own, named by its place: `item.picture`."
_SCALARS = {"string", "integer", "number", "boolean"}


def request(method: APIMethod[..., Any], schemas: Schemas) -> Json:
    """Return the request body of an API: each media type that its input is meant to come as."""
    taken = method.input
    schema = taken.schema()
    is_form = not taken.root and _holds_file(schema)
    if is_form:
        schema = _as_form(schema)
    body: Json = {"schema": schemas.add(f"{method.name}__Input", schema)}
    if taken.root:
        media_type = _file_type(schema) if taken.files else "text/plain" if taken.is_raw else _JSON
        is_text = taken.is_raw and not taken.files  # for which no body at all is an empty text
        required = not is_text and "default" not in schema
        return {"required": required, "content": {media_type: body} | _npy([schema])}
    required = bool(schema.get("required"))
    properties: dict[str, Json] = schema.get("properties", {})
    if is_form:
        return {"description": _PARTS, "required": required, "content": {_FORM: body | _encoding(properties)}}
    content = {_JSON: body} | _npy(list(properties.values()))
    if properties and all(_is_scalar(p) for p in properties.values()):
        content[_URLENCODED] = body
    return {"required": required, "content": content}


def answer(method: APIMethod[..., Any], schemas: Schemas) -> Json:
    """Return the content of an answer by its media type; an optional file has two of them."""
    schema, media_type = method.output.schema(), method.output.media_type.partition(";")[0]
    if method.output.is_stream:
        return {media_type: {"schema": _EVENTS if media_type == _EVENT_STREAM else {"type": "string"}}}
    if method.output.is_free:
        return {"*/*": {"schema": {}}}
    branches = schema.get("anyOf", [schema])
    files = {_answer_type(branch): {"schema": binary(branch)} for branch in branches if _is_file(branch)}
    if method.output.is_optional_bytes:
        files = {media_type: {"schema": BINARY}}
    if files:
        null = {_JSON: {"schema": {"type": "null"}}} if {"type": "null"} in branches else {}
        return files | null
    body: Json = {"schema": schemas.add(f"{method.name}__Output", schema)}
    if _holds_file(schema):
        return {_FORM: body}
    return {media_type: body} | (_npy([schema]) if method.output.may_be_npy else {})


def _as_form(schema: Json) -> Json:
    """Return the schema of a form: a list of files that is required has one, as a form cannot hold an empty list."""
    properties = dict(schema["properties"])
    for name in set(schema.get("required", ())) & properties.keys():
        if _is_file(properties[name].get("items", {})):
            properties[name] = {"minItems": 1} | properties[name]
    return schema | {"properties": properties}


def _encoding(properties: Mapping[str, Json]) -> Json:
    """Say how the parts of a form are written: files of a declared type as that, all else as JSON."""
    encoding: Json = {}
    for name, schema in properties.items():
        item = schema.get("items", schema)
        if not _is_file(item):
            encoding[name] = {"contentType": _JSON}
        elif _file_type(item) != _BYTES:
            encoding[name] = {"contentType": _file_type(item)}
    return {"encoding": encoding} if encoding else {}


def _npy(schemas: list[Json]) -> Json:
    """Return the binary form of an array that is all that an API takes or gives."""
    branches = [branch for schema in schemas for branch in schema.get("anyOf", [schema])]
    if len(schemas) == 1 and any(branch.get("contentMediaType") == _NPY for branch in branches):
        return {_NPY: {"schema": BINARY | {"contentMediaType": _NPY}}}
    return {}


def _file_type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("format", "binary")
    return str(schema.get("content_type") or (_BYTES if kind == "binary" else f"{kind}/*"))


def _answer_type(schema: Mapping[str, Any]) -> str:
    """Return the media type of a file that is answered: where none is declared, it follows from the file's name."""
    return "*/*" if schema.get("format") == "binary" and "content_type" not in schema else _file_type(schema)


def _is_file(schema: Json) -> bool:
    return schema.get("type") == "file"


def _is_scalar(schema: Json) -> bool:
    return schema.get("type") in _SCALARS and not schema.get("nullable")


def _holds_file(node: Any) -> bool:
    """Say whether a file is anywhere in a value: then the answer is a form."""
    if isinstance(node, list):
        return any(map(_holds_file, node))
    if not isinstance(node, dict):
        return False
    return _is_file(node) or any(
        _holds_file(v) for k, v in node.items() if k not in ("default", "examples", "enum")
    )
