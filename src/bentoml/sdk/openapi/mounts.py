"""Mounted applications that describe themselves, as FastAPI's do: their paths and components join the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .schemas import Json, identifier

if TYPE_CHECKING:
    from ..service import Service

__all__ = ["merge_mounts"]

_REFERENCE = "#/components/"


def merge_mounts(document: Json, service: Service[Any]) -> Json:
    """Return the document with what the mounted applications say of themselves; the service's own methods win."""
    service.bind_mounts()
    for app, path, name in service.mount_apps:
        describe = getattr(app, "openapi", None)
        described = describe() if callable(describe) else None
        if isinstance(described, dict):
            document = _merged(
                document, described, (service.path_prefix + path).rstrip("/"), identifier(name)
            )
    return document


def _merged(document: Json, other: Json, path: str, name: str) -> Json:
    components: Json = {kind: dict(named) for kind, named in document["components"].items()}
    renamed = _renamed(components, other.get("components", {}), name)
    for kind, named in other.get("components", {}).items():
        of_kind = components.setdefault(kind, {})
        for key, value in named.items():
            of_kind[renamed.get((kind, key), key)] = _moved(value, renamed)
    paths = {path + own: _moved(item, renamed) for own, item in other.get("paths", {}).items()}
    return document | {
        "paths": paths | {path: paths.get(path, {}) | item for path, item in document["paths"].items()},
        "tags": document["tags"] + [t for t in other.get("tags", []) if t not in document["tags"]],
        "components": components,
    }


def _renamed(ours: Json, theirs: Json, name: str) -> dict[tuple[str, str], str]:
    """Return new names for the components whose names stand for something else already."""
    renamed: dict[tuple[str, str], str] = {}
    for kind, named in theirs.items():
        for key, value in named.items():
            new = key
            while ours.get(kind, {}).get(new, value) != value:
                new = f"{name}__{new}"
            if new != key:
                renamed[kind, key] = new
    return renamed


def _moved(node: Any, renamed: dict[tuple[str, str], str]) -> Any:
    """Return a part of a document whose references, and names of security schemes, follow what was renamed."""
    if isinstance(node, list):
        return [_moved(item, renamed) for item in node]
    if not isinstance(node, dict):
        return node
    moved: Json = {}
    for key, value in node.items():
        if key == "$ref" and isinstance(value, str) and value.startswith(_REFERENCE):
            kind, _, name = value.removeprefix(_REFERENCE).partition("/")
            moved[key] = f"{_REFERENCE}{kind}/{renamed.get((kind, name), name)}"
        elif key == "security" and isinstance(value, list):
            moved[key] = [
                {renamed.get(("securitySchemes", n), n): s for n, s in one.items()} for one in value
            ]
        else:
            moved[key] = _moved(value, renamed)
    return moved
