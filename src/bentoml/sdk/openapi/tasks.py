"""The paths of a task: how it is submitted, watched, fetched, tried again and cancelled."""

from __future__ import annotations

from .responses import Errors
from .schemas import Json, reference

__all__ = ["task_paths", "task_schemas"]

_JSON = "application/json"
_ID: Json = {
    "name": "task_id",
    "in": "query",
    "required": True,
    "description": "What the submission answered.",
    "schema": {"type": "string", "minLength": 1},
}
_ALIASES = {"retry": "put", "cancel": "post"}
_STATUSES = ["pending", "in_progress", "completed", "failed", "canceled"]


def task_schemas() -> Json:
    """Return the components that the paths of tasks refer to."""
    text: Json = {"type": "string"}
    status: Json = {"type": "string", "enum": _STATUSES}
    when: Json = {"type": ["string", "null"], "format": "date-time", "description": "in UTC"}
    times = {key: when for key in ("created_at", "executed_at", "completed_at")}
    properties = {"task_id": text, "status": status}
    required = ["task_id", "status"]
    return {
        "Task": {"type": "object", "title": "Task", "properties": properties, "required": required},
        "TaskStatusResponse": {
            "type": "object",
            "title": "TaskStatusResponse",
            "properties": properties | times,
            "required": [*required, *times],
        },
    }


def task_paths(path: str, operation: Json, errors: Errors) -> Json:
    """Return the paths of a task besides its own, which ``operation`` describes."""
    submitted = _json("The task, which is under way.", "Task")
    about = {
        "submit": ("post", "Submit", "Run it in the background.", submitted),
        "status": (
            "get",
            "Status of",
            "Say how far a submitted task is.",
            _json("How far it is.", "TaskStatusResponse"),
        ),
        "get": ("get", "Result of", "Return the answer of a finished task.", operation["responses"]["200"]),
        "retry": ("post", "Retry", "Run a finished task again.", submitted),
        "cancel": ("put", "Cancel", "Stop a task.", _json("The task, which is over.", "Task")),
    }
    paths: Json = {}
    for action, (verb, title, text, success) in about.items():
        task: Json = {
            "tags": operation["tags"],
            "summary": f"{title} `{operation['x-bentoml-name']}`",
            "description": text,
            "operationId": f"{operation['operationId']}__{action}",
            "responses": {"200": success, **errors.of_api()},
        }
        if action == "submit":
            task["requestBody"] = operation["requestBody"]
        else:
            task["parameters"] = [_ID]
        paths[f"{path.rstrip('/')}/{action}"] = {verb: task} | _alias(action, task)
    return paths


def _alias(action: str, task: Json) -> Json:
    """Return the same by the other method that BentoML's own documentation names."""
    if action not in _ALIASES:
        return {}
    verb = _ALIASES[action]
    return {verb: task | {"operationId": f"{task['operationId']}_{verb}", "deprecated": True}}


def _json(about: str, name: str) -> Json:
    return {"description": about, "content": {_JSON: {"schema": reference(name)}}}
