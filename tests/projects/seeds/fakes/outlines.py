"""Stand-ins for the names of `outlines` that the document uses."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any


def _transformers(path: str, device: str, model_kwargs: dict[str, Any]) -> Any:
    return SimpleNamespace(path=path)


_CHARACTER = {"name": "Aura", "age": 15, "armor": "plate", "weapon": "sword", "strength": 20}


def _json(model: Any, schema: str) -> Any:
    wanted = json.loads(schema)["properties"]
    return lambda prompt: {key: value for key, value in _CHARACTER.items() if key in wanted}


models = SimpleNamespace(transformers=_transformers)
generate = SimpleNamespace(json=_json)
