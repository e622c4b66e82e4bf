"""Overrides: what the environment says about the settings of services goes over what their code says."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..exceptions import BentoMLConfigException, BentoMLException
from ..store import document

__all__ = ["overridden"]

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")

Layer = Mapping[str, Any]


def overridden(
    name: str, config: Layer, env: Mapping[str, str], *, settings: Collection[str]
) -> dict[str, Any]:
    """Return a service's configuration with that of ``BENTOML_CONFIG`` and ``BENTOML_CONFIG_OVERRIDES`` over it.

    Both hold ``services:`` with ``settings`` for every service and, under its name, those of one. The first names a
    YAML file, the second is JSON and goes over it.

    Raises:
        BentoMLConfigException: the file cannot be read, or one of them is not such a mapping.
    """
    merged = dict(config)
    for source, services in _layers(env):
        shared = {key: value for key, value in services.items() if key in settings and key != name}
        for layer in (shared, services.get(name) or {}):
            if not isinstance(layer, Mapping):
                raise _invalid(source, f"`services.{name}` is a mapping, not `{layer!r}`")
            merged = _merge(merged, layer)
    return merged


def _layers(env: Mapping[str, str]) -> list[tuple[str, Layer]]:
    layers = []
    if file := env.get("BENTOML_CONFIG"):
        try:
            data = document.load(Path(file).read_text())
        except (OSError, BentoMLException, UnicodeDecodeError) as e:
            raise _invalid(f"BENTOML_CONFIG=`{file}`", e) from e
        layers.append((f"BENTOML_CONFIG=`{file}`", _expanded(data, env)))
    if text := env.get("BENTOML_CONFIG_OVERRIDES"):
        try:
            data = json.loads(text)
        except ValueError as e:
            raise _invalid("BENTOML_CONFIG_OVERRIDES", e) from e
        layers.append(("BENTOML_CONFIG_OVERRIDES", data))
    return [(source, _services(source, data)) for source, data in layers]


def _services(source: str, data: Any) -> Layer:
    services = data.get("services") if isinstance(data, Mapping) else None
    if not isinstance(services, Mapping):
        raise _invalid(source, "it has no mapping `services`")
    return services


def _merge(below: Layer, above: Layer) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _expanded(value: Any, env: Mapping[str, str]) -> Any:
    """Replace ``${NAME}`` and ``${NAME:-default}`` in every string."""
    match value:
        case str():
            return _VARIABLE.sub(lambda m: env.get(m[1], m[2] if m[2] is not None else m[0]), value)
        case Mapping():
            return {key: _expanded(item, env) for key, item in value.items()}
        case list():
            return [_expanded(item, env) for item in value]
    return value


def _invalid(source: str, reason: object) -> BentoMLConfigException:
    return BentoMLConfigException(f"Invalid configuration file was given: {source}: {reason}")
