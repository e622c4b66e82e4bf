"""Stand-ins for the names of `outlines` that the document uses."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any


def _transformers(path: str, device: str, model_kwargs: dict[str, Any]) -> Any:
    return SimpleNamespace(path=path)


def _json(model: Any, schema: str) -> Any:
    wanted = json.loads(schema)
    return lambda prompt: {"prompt": prompt, "title": wanted["title"]}


models = SimpleNamespace(transformers=_transformers)
generate = SimpleNamespace(json=_json)
