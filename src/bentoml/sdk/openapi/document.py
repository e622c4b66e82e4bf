"""The document as a whole: what the service is, its paths, and what they share.

It is OpenAPI 3.1, whose schemas are JSON Schema 2020-12: what pydantic writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..configuration.sections import Auth
from ..method import APIMethod
from .bodies import answer, request
from .defaults import without_unfit_defaults
from .mounts import merge_mounts
from .responses import PLAIN_TEXT, Errors, error_responses, ids
from .schemas import Json, Schemas, identifier
from .tasks import task_paths, task_schemas

if TYPE_CHECKING:
    from ..service import Service

__all__ = ["openapi"]

_APIS, _INFRASTRUCTURE = "Service APIs", "Infrastructure"
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
    auth = service.settings.auth
    schemas = Schemas()
    errors = Errors(auth=auth.type is not None)
    if any(method.is_task for method in service.apis.values()):
        schemas.components |= task_schemas()
    paths: Json = {}
    for method in service.apis.values():
        paths |= _api_paths(service, method, schemas, errors)
    for path, about in _probes(service).items():  # where an API may be too, for POST
        paths[prefix + path] = paths.get(prefix + path, {}) | {"get": _probe(path, about, errors)}
    document: Json = {
        "openapi": "3.1.0",
        "info": _info(service, version),
        "servers": [{"url": "/".join([".."] * prefix.count("/")) or "."}],
        "tags": [
            {"name": _APIS, "description": "What the service does."},
            {"name": _INFRASTRUCTURE, "description": "How the server is: for probes and monitoring."},
        ],
        "paths": paths,
        "components": {
            "schemas": without_unfit_defaults(schemas.components),
            "responses": error_responses(errors),
            **_security(auth),
        },
    }
    if auth.type is not None:
        document["security"] = [{auth.type: []}]
    return merge_mounts(document, service)


def _info(service: Service[Any], version: str | None) -> Json:
    readme = service.bento.doc if service.bento else ""
    return {
        "title": service.name,
        "version": version or "not available",
        "description": readme or service.description or service.doc or "",
    }


def _api_paths(service: Service[Any], method: APIMethod[..., Any], schemas: Schemas, errors: Errors) -> Json:
    # A route is no pattern, and in a document braces are: what stands for them in a URL means the same.
    path = (service.path_prefix + method.route).replace("{", "%7B").replace("}", "%7D")
    operation = _operation(service, method, schemas, errors)
    return {path: {"post": operation}} | (task_paths(path, operation, errors) if method.is_task else {})


def _operation(service: Service[Any], method: APIMethod[..., Any], schemas: Schemas, errors: Errors) -> Json:
    done = {"description": "The answer.", "headers": ids(service), "content": answer(method, schemas)}
    return {
        "tags": [_APIS],
        "x-bentoml-name": method.name,
        "summary": (method.doc or "").partition("\n")[0] or method.name,
        "description": method.doc or "",
        "operationId": identifier(f"{service.name}__{method.name}"),
        "requestBody": request(method, schemas),
        "responses": {"200": done, **errors.of_api()},
    }


def _probes(service: Service[Any]) -> dict[str, str]:
    return {p: about for p, about in _PROBES.items() if p != "/metrics" or service.settings.metrics.enabled}


def _probe(path: str, about: str, errors: Errors) -> Json:
    """Return the operation of a page for machines; probes are open to everybody, the metrics are not."""
    operation: Json = {
        "tags": [_INFRASTRUCTURE],
        "summary": about,
        "description": about,
        "operationId": path[1:],
    }
    if path == "/metrics":
        done = {"200": {"description": "The metrics.", "content": PLAIN_TEXT}}
        return operation | {"responses": done | errors.of_page()}
    done = {"200": {"description": "Yes.", "content": PLAIN_TEXT}}
    unfit = {"503": {"description": "No; the text says why.", "content": PLAIN_TEXT}}
    return operation | {"responses": done | unfit} | ({"security": []} if errors.auth else {})


def _security(auth: Auth) -> Json:
    """Return how callers say who they are; nothing where anybody may call."""
    if auth.type is None:
        return {}
    scheme: Json = {"type": "apiKey", "in": "header", "name": auth.header}
    if auth.header.lower() == "authorization":
        scheme = {"type": "http", "scheme": "bearer"} | (
            {"bearerFormat": "JWT"} if auth.type == "jwt" else {}
        )
    return {"securitySchemes": {auth.type: scheme}}
