"""Overrides: what the environment says about the settings of services goes over what their code says."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...exceptions import BentoMLConfigException, BentoMLException
from ...nearest import nearest
from ...store import document

__all__ = ["Layer", "Word", "layers", "merge"]

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_ROOT = ("version", "services")
_VERSION = 2

Config = Mapping[str, Any]


class Word(str):
    """A text that may stand for a number or a flag: what ``${NAME}`` became, or a value of ``BENTOML_CONFIG_OPTIONS``."""

    __slots__ = ()

    def value(self) -> Any:
        """Return what JSON takes it for, flags in any case; ``ValueError`` where that is nothing."""
        flag = self.lower()
        return flag == "true" if flag in ("true", "false") else json.loads(self)


class Layer(NamedTuple):
    """Settings of one service that come from one place; ``source`` is none for those of its own code."""

    source: str | None
    config: Config


def layers(name: str, config: Config, env: Mapping[str, str], *, settings: Collection[str]) -> list[Layer]:
    """Return what is said about a service, from its code up to what goes over everything.

    The environment may say: ``BENTOML_CONFIG``, the name of a YAML file; ``BENTOML_CONFIG_OVERRIDES``, JSON;
    ``BENTOML_CONFIG_OPTIONS``, words like ``services.http.port=4000``. Each holds ``services:`` with ``settings`` for every
    service and, under its name, those of one.

    Raises:
        BentoMLConfigException: one of them cannot be read, or is not such a mapping; the message names it.
    """
    found = [Layer(None, config)]
    for source, data in _documents(env):
        services = _services(source, data, settings)
        own = services.get(name)
        if own is not None and not isinstance(own, Mapping):
            raise _invalid(source, f"`services.{name}` is a mapping, not `{own!r}`")
        shared = {key: value for key, value in services.items() if key in settings and key != name}
        found += [Layer(source, layer) for layer in (shared, own) if layer]
    return found


def merge(below: Config, above: Config) -> dict[str, Any]:
    """Return one configuration with another over it, section by section."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _documents(env: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    if file := env.get("BENTOML_CONFIG"):
        source = f"BENTOML_CONFIG=`{file}`"
        if Path(file).suffix not in (".yaml", ".yml"):
            raise _invalid(source, "its name has to end in `.yaml` or `.yml`")
        try:
            data = document.load(Path(file).read_text())
        except (OSError, BentoMLException, UnicodeDecodeError) as e:
            raise _invalid(source, e) from e
        yield source, _expanded(data, env, source)
    if text := env.get("BENTOML_CONFIG_OVERRIDES"):
        try:
            data = json.loads(text)
        except ValueError as e:
            raise _invalid("BENTOML_CONFIG_OVERRIDES", f"it is not JSON: {e}") from e
        yield "BENTOML_CONFIG_OVERRIDES", _expanded(data, env, "BENTOML_CONFIG_OVERRIDES")
    if words := env.get("BENTOML_CONFIG_OPTIONS"):
        yield "BENTOML_CONFIG_OPTIONS", _options(words)


def _services(source: str, data: Any, settings: Collection[str]) -> Config:
    """Return what a document says about services, as far as it may be said at all."""
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        raise _invalid(source, f"it is a mapping with `services`, not `{data!r}`")
    if data.get("version", _VERSION) not in (_VERSION, str(_VERSION)):
        raise _invalid(source, f"`version` is `{_VERSION}`, not `{data['version']!r}`")
    for key in data:
        if key not in _ROOT:
            raise _invalid(
                source, f"`{key}` is not known; settings lie under `services`{_meant(key, _ROOT, '')}"
            )
    services = {} if data.get("services") is None else data["services"]
    if not isinstance(services, Mapping):
        raise _invalid(source, f"`services` is a mapping, not `{services!r}`")
    for key, value in services.items():
        if key not in settings and not isinstance(value, Mapping):
            hint = _meant(str(key), settings, "services.")
            raise _invalid(source, f"`services.{key}` is neither a setting nor a mapping for a service{hint}")
    return services


def _meant(key: str, known: Collection[str], where: str) -> str:
    near = nearest(key, known)
    return f"; did you mean `{where}{near}`?" if near else ""


def _options(words: str) -> dict[str, Any]:
    """Return the mapping that words like ``services.svc.workers=2`` stand for."""
    merged: dict[str, Any] = {}
    for word in shlex.split(words):
        path, equals, value = word.partition("=")
        if not equals or not all(path.split(".")):
            raise _invalid("BENTOML_CONFIG_OPTIONS", f"`{word}` is not of the form `services.name.key=value`")
        nested: Any = Word(value)
        for key in reversed(path.split(".")):
            nested = {key: nested}
        merged = merge(merged, nested)
    return merged


def _expanded(value: Any, env: Mapping[str, str], source: str) -> Any:
    """Replace ``${NAME}`` and ``${NAME:-default}`` in every text."""

    def variable(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        found = env.get(name) or default
        if found is None and name not in env:
            raise _invalid(
                source,
                f"`{match[0]}`: the variable is not set; write `${{{name}:-default}}` to give it a default",
            )
        return found or ""

    match value:
        case str() if _VARIABLE.search(value):
            return Word(_VARIABLE.sub(variable, value))
        case Mapping():
            return {key: _expanded(item, env, source) for key, item in value.items()}
        case list():
            return [_expanded(item, env, source) for item in value]
    return value


def _invalid(source: str, reason: object) -> BentoMLConfigException:
    return BentoMLConfigException(f"Invalid configuration file was given: {source}: {reason}")
