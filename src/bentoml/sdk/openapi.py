"""The OpenAPI document of a service: what `/docs.json` serves and a bento holds as `apis/openapi.yaml`.

It is OpenAPI 3.1, whose schemas are JSON Schema 2020-12: what pydantic writes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .method import APIMethod

if TYPE_CHECKING:
    from .service import Service

__all__ = ["openapi"]

_APIS, _INFRASTRUCTURE = "Service APIs", "Infrastructure"
_COMPONENTS = "#/components/schemas/"
_ERRORS = {"400": "InvalidArgument", "404": "NotFound", "500": "InternalServerError"}
_PROBES = {
    "/healthz": "Say whether the server is alive.",
    "/livez": "Say whether the server is alive.",
    "/readyz": "Say whether the service takes requests.",
    "/metrics": "Return the metrics in the text format of Prometheus.",
}


def openapi(service: Service[Any], *, version: str | None) -> dict[str, Any]:
    """Return the OpenAPI document of a service; ``version`` is that of its bento."""
    schemas = {name: _error_schema(name) for name in _ERRORS.values()}
    paths = {
        service.path_prefix + method.route: {"post": _operation(service, method, schemas)}
        for method in service.apis.values()
    }
    probes = {service.path_prefix + path: {"get": _probe(path, about)} for path, about in _PROBES.items()}
    description = (service.bento.doc if service.bento else "") or service.description or service.doc or ""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": service.name,
            "version": version or "not available",
            "description": description,
        },
        "servers": [{"url": "."}],
        "tags": [{"name": _APIS}, {"name": _INFRASTRUCTURE}],
        "paths": paths | probes,
        "components": {"schemas": schemas},
    }


def _operation(service: Service[Any], method: APIMethod[..., Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", method.name)
    given, answered = method.input.schema(), method.output.schema()
    responses = {"200": _answer(method, answered, _component(f"{name}__Output", answered, schemas))}
    body = {
        "required": bool(given.get("required")) or method.input.root,
        "content": {
            _request_type(method, given): {
                "schema": _component(f"{name}__Input", given, schemas),
                **_encoding(method, given),
            }
        },
    }
    return {
        "tags": [_APIS],
        "x-bentoml-name": method.name,
        "description": method.doc or "",
        "operationId": f"{service.name}__{method.name}",
        "requestBody": body,
        "responses": responses | {status: _error(name) for status, name in _ERRORS.items()},
    }


def _request_type(method: APIMethod[..., Any], schema: dict[str, Any]) -> str:
    if not method.input.root:
        return "multipart/form-data" if method.input.files else "application/json"
    if method.input.files:
        return _file_type(schema)
    return "text/plain" if method.input.is_raw else "application/json"


def _encoding(method: APIMethod[..., Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Say that the fields of a form that are no files are JSON."""
    if method.input.root or not method.input.files:
        return {}
    others = [name for name in schema["properties"] if name not in method.input.files]
    return {"encoding": {name: {"contentType": "application/json"} for name in others}} if others else {}


def _answer(method: APIMethod[..., Any], schema: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    media_type = _file_type(schema) if schema.get("type") == "file" else method.output.media_type
    return {"description": "Successful Response", "content": {media_type: {"schema": reference}}}


def _file_type(schema: dict[str, Any]) -> str:
    default = "image/*" if schema.get("format") == "image" else "application/octet-stream"
    return str(schema.get("content_type", default))


def _component(name: str, schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Put a schema and its definitions among the components and return a reference to it."""
    for other, definition in schema.get("$defs", {}).items():
        schemas[other] = _plain(definition)
    schemas[name] = _plain({key: value for key, value in schema.items() if key not in _OUR_KEYS})
    return {"$ref": _COMPONENTS + name}


_OUR_KEYS = ("$defs", "root_input", "is_stream", "media_type")


def _plain(node: Any) -> Any:
    """Write the types that JSON schema does not have in its own words."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(reference := node.get("$ref"), str):
        node = node | {"$ref": reference.replace("#/$defs/", _COMPONENTS)}
    if node.get("type") == "file":
        node = {"type": "string", "format": "binary", **_about(node)}
    elif node.get("type") == "tensor":
        node = {"type": "array", "items": {}, **_about(node)}
    if node.get("nullable"):
        rest = {key: value for key, value in node.items() if key not in ("nullable", "default")}
        default = {"default": node["default"]} if "default" in node else {}
        node = {"anyOf": [rest, {"type": "null"}], **default}
    return {key: _plain(value) for key, value in node.items()}


def _about(node: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {
        key: node[key] for key in ("title", "description", "default", "nullable") if key in node
    }
    if node["type"] == "tensor" and (facts := [f"{k} {node[k]}" for k in ("dtype", "shape") if k in node]):
        kept.setdefault("description", "An array: " + ", ".join(facts))
    if "content_type" in node:
        kept["contentMediaType"] = node["content_type"]
    return kept


def _probe(path: str, about: str) -> dict[str, Any]:
    answer = {"description": "Successful Response", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"tags": [_INFRASTRUCTURE], "description": about, "responses": {"200": answer}}


def _error(name: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _COMPONENTS + name}}}
    return {"description": name, "content": content}


def _error_schema(name: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"error": {"type": "string"}}
    if name == "InvalidArgument":
        properties["detail"] = {"type": "array", "items": {"type": "object"}}
    return {"type": "object", "title": name, "properties": properties, "required": ["error"]}
