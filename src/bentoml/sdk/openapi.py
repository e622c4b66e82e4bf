"""The OpenAPI document of a service: what `/docs.json` serves and a bento holds as `apis/openapi.yaml`.

It is OpenAPI 3.1, whose schemas are JSON Schema 2020-12: what pydantic writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .method import APIMethod

if TYPE_CHECKING:
    from .service import Service

__all__ = ["openapi"]

Json = dict[str, Any]

_APIS, _INFRASTRUCTURE = "Service APIs", "Infrastructure"
_COMPONENTS = "#/components/schemas/"
_JSON, _FORM, _BYTES = "application/json", "multipart/form-data", "application/octet-stream"
_ERRORS = {
    "400": ("InvalidArgument", "The input is not acceptable; `detail` says where and why."),
    "404": ("NotFound", "What was asked for does not exist."),
    "413": ("RequestTooLarge", "The body is larger than the server takes."),
    "429": ("TooManyRequests", "The service works on as many requests as it may; try again later."),
    "500": ("InternalServerError", "The service failed; its log says why."),
    "503": ("ServiceUnavailable", "The service cannot answer now; try again later."),
    "504": ("Timeout", "The service did not answer in time."),
}
_PROBES = {
    "/healthz": "Say whether the server is alive.",
    "/livez": "Say whether the server is alive.",
    "/readyz": "Say whether the service takes requests.",
    "/metrics": "Return the metrics in the text format of Prometheus.",
}


def openapi(service: Service[Any], *, version: str | None) -> Json:
    """Return the OpenAPI document of a service; ``version`` is that of its bento.

    The server is the place that the document comes from, so that it is right behind any proxy.
    """
    prefix = service.path_prefix
    schemas: Json = {"Error": _error_schema()}
    apis = {prefix + m.route: {"post": _operation(service, m, schemas)} for m in service.apis.values()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": service.name,
            "version": version or "not available",
            "description": (service.bento.doc if service.bento else "")
            or service.description
            or service.doc
            or "",
        },
        "servers": [{"url": "/".join([".."] * prefix.count("/")) or "."}],
        "tags": [{"name": _APIS}, {"name": _INFRASTRUCTURE}],
        "paths": apis
        | {prefix + path: {"get": _probe(path, about)} for path, about in _probes(service).items()},
        "components": {"schemas": schemas, "responses": _error_responses()},
    }


def _operation(service: Service[Any], method: APIMethod[..., Any], schemas: Json) -> Json:
    errors = {status: {"$ref": f"#/components/responses/{name}"} for status, (name, _) in _ERRORS.items()}
    return {
        "tags": [_APIS],
        "x-bentoml-name": method.name,
        "description": method.doc or "",
        "operationId": _identifier(f"{service.name}__{method.name}"),
        "requestBody": _request(method, schemas),
        "responses": {"200": {"description": "The answer", "content": _answer(method, schemas)}, **errors},
    }


def _request(method: APIMethod[..., Any], schemas: Json) -> Json:
    schema, taken = method.input.schema(), method.input
    content: Json = {"schema": _component(f"{method.name}__Input", schema, schemas)}
    if taken.root:
        media_type = _file_type(schema) if taken.files else "text/plain" if taken.is_raw else _JSON
        return {"required": True, "content": {media_type: content}}
    if taken.files and (others := [name for name in schema["properties"] if name not in taken.files]):
        content["encoding"] = {name: {"contentType": _JSON} for name in others}
    return {"required": bool(schema.get("required")), "content": {_FORM if taken.files else _JSON: content}}


def _answer(method: APIMethod[..., Any], schemas: Json) -> Json:
    """Return the content of an answer by its media type; an optional file has two of them."""
    schema, media_type = method.output.schema(), method.output.media_type.partition(";")[0]
    if method.output.is_stream:
        return {media_type: {"schema": {"type": "string"}}}
    branches = schema.get("anyOf", [schema])
    files = {_file_type(branch): _binary(branch) for branch in branches if branch.get("type") == "file"}
    if not files:
        return {media_type: {"schema": _component(f"{method.name}__Output", schema, schemas)}}
    null = {_JSON: {"type": "null"}} if {"type": "null"} in branches else {}
    return {media_type: {"schema": shown} for media_type, shown in (files | null).items()}


def _file_type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("format", "binary")
    return str(schema.get("content_type") or (_BYTES if kind == "binary" else f"{kind}/*"))


def _binary(schema: Mapping[str, Any]) -> Json:
    about = {"contentMediaType": schema["content_type"]} if "content_type" in schema else {}
    return {"type": "string", "format": "binary", **about}


def _component(name: str, schema: Json, schemas: Json) -> Json:
    """Put a schema and its definitions among the components and return a reference to it."""
    name = _identifier(name)
    prefix = f"{name}__" if any(_taken(n, d, schemas) for n, d in schema.get("$defs", {}).items()) else ""
    for other, definition in schema.get("$defs", {}).items():
        schemas[prefix + _identifier(other)] = _standard(definition, prefix)
    schemas[name] = _standard(schema, prefix)
    return {"$ref": _COMPONENTS + name}


def _taken(name: str, definition: Json, schemas: Json) -> bool:
    """Say whether another model has this name: then the models of this API go by longer names."""
    known = schemas.get(_identifier(name))
    return known is not None and bool(known != _standard(definition, ""))


_OURS = {"$defs", "root_input", "is_stream", "media_type", "nullable", "pil", "content_type", "discriminator"}
_OURS_OF_ARRAYS = {"format", "dtype", "shape", "dim", "orient", "columns", "items"}
_DATA = {"default", "const", "enum", "examples", "required"}
_MAPS = {"properties", "patternProperties", "dependentSchemas"}


def _standard(node: Any, prefix: str) -> Any:
    """Return a schema in the words of JSON schema alone; references name components, whose names start with ``prefix``."""
    if isinstance(node, list):
        return [_standard(item, prefix) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: _keyword(key, value, prefix) for key, value in node.items() if key not in _OURS}
    if node.get("type") == "file":
        schema |= _binary(node)
    elif node.get("type") in ("tensor", "dataframe"):
        schema = {k: v for k, v in schema.items() if k not in _OURS_OF_ARRAYS} | _array(node)
    return _or_null(schema) if node.get("nullable") else schema


def _keyword(key: str, value: Any, prefix: str) -> Any:
    if key in _DATA:
        return value
    if key == "$ref":
        return _COMPONENTS + prefix + _identifier(value.removeprefix("#/$defs/"))
    if key in _MAPS:
        return {name: _standard(schema, prefix) for name, schema in value.items()}
    return _standard(value, prefix)


def _array(node: Mapping[str, Any]) -> Json:
    """Return how nested lists or a table look; dtype and shape, which JSON schema cannot say, are in the description."""
    facts = ", ".join(f"{key} {node[key]}" for key in ("dtype", "shape", "columns") if key in node)
    about = {"description": node.get("description") or f"An array: {facts}"} if facts else {}
    if node["type"] == "tensor":
        return {"type": "array", "items": {}, **about}
    if node.get("orient") == "columns":
        return {"type": "object", "additionalProperties": {"type": "array"}, **about}
    return {"type": "array", "items": {"type": "object"}, **about}


def _or_null(schema: Json) -> Json:
    outside: Json = {key: schema.pop(key) for key in ("title", "description", "default") if key in schema}
    return {"anyOf": [schema, {"type": "null"}], **outside}


def _probes(service: Service[Any]) -> dict[str, str]:
    return {p: about for p, about in _PROBES.items() if p != "/metrics" or service.settings.metrics.enabled}


def _probe(path: str, about: str) -> Json:
    text = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    unfit = {} if path == "/metrics" else {"503": {"description": "No.", **text}}
    responses = {"200": {"description": "The metrics." if path == "/metrics" else "Yes.", **text}, **unfit}
    return {"tags": [_INFRASTRUCTURE], "operationId": path[1:], "description": about, "responses": responses}


def _error_schema() -> Json:
    text = {"type": "string"}
    detail = {
        "type": "object",
        "properties": {"loc": {"type": "array", "items": {}}, "msg": text, "type": text},
    }
    properties = {"error": text, "detail": {"type": "array", "items": detail}}
    return {"type": "object", "title": "Error", "properties": properties, "required": ["error"]}


def _error_responses() -> Json:
    content = {_JSON: {"schema": {"$ref": f"{_COMPONENTS}Error"}}}
    return {name: {"description": about, "content": content} for name, about in _ERRORS.values()}


def _identifier(name: str) -> str:
    """Return a name that may stand in a reference: letters, digits, ``.``, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
