"""ServiceSettings: how a service is to be run, read from the decorator's arguments with all mistakes at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from ...exceptions import BentoMLConfigException
from ...nearest import nearest
from ..declaration import Declaration
from . import checks
from .checks import Check
from .overrides import Word, layers, merge
from .sections import (
    Auth,
    Endpoints,
    EnvVar,
    Grpc,
    Http,
    Logging,
    Metrics,
    Monitoring,
    Resources,
    RunnerConnection,
    RunnerProbe,
    Ssl,
    Tasks,
    Tracing,
    Traffic,
    key,
    mistakes_of_auth,
    mistakes_of_duration,
)

__all__ = ["ServiceSettings", "read_declaration"]

S = TypeVar("S")


@dataclass(frozen=True)
class ServiceSettings:
    """Every setting of a service, checked."""

    workers: int | Literal["cpu_count"] | None = key(checks.WORKERS, None)
    threads: int = key(checks.POSITIVE, 1)
    backlog: int = key(checks.BACKLOG, 2048)
    traffic: Traffic = field(default_factory=Traffic)
    tasks: Tasks = field(default_factory=Tasks)
    resources: Resources = field(default_factory=Resources)
    http: Http = field(default_factory=Http)
    logging: Logging = field(default_factory=Logging)
    metrics: Metrics = field(default_factory=Metrics)
    ssl: Ssl = field(default_factory=Ssl)
    auth: Auth = field(default_factory=Auth)
    extra_ports: tuple[int, ...] = key(checks.PORTS, ())
    replicate_process: bool = key(checks.FLAG, False)
    max_runner_connections: int = key(checks.POSITIVE, 16)
    endpoints: Endpoints = field(default_factory=Endpoints)
    monitoring: Monitoring = field(default_factory=Monitoring)
    tracing: Tracing = field(default_factory=Tracing)
    runner_probe: RunnerProbe = field(default_factory=RunnerProbe)
    runner_connection: RunnerConnection = field(default_factory=RunnerConnection)
    grpc: Grpc = field(default_factory=Grpc)

    @classmethod
    def build(
        cls, name: str, config: Mapping[str, Any], env: Mapping[str, str] | None = None
    ) -> ServiceSettings:
        """Return the settings of a service from the arguments of its decorator, and the overrides in ``env``.

        Raises:
            BentoMLConfigException: the message names every mistake, and the nearest key of one that does not exist.
        """
        mistakes: list[str] = []
        merged: dict[str, Any] = {}
        names = {f.name for f in dataclasses.fields(cls)}
        for source, layer in layers(name, config, env or {}, settings=names):
            found: list[str] = []
            _read(cls, layer, "", found)
            mistakes += [f"{mistake} (in {source})" if source else mistake for mistake in found]
            merged = merge(merged, layer)
        if not mistakes:
            settings = _read(cls, merged, "", mistakes)
            mistakes += _disagreements(settings)
        _raise(f"the configuration of service `{name}` is not valid", mistakes)
        return settings


def _disagreements(settings: ServiceSettings) -> list[str]:
    """Return what is wrong with settings that are each right."""
    mistakes = [*mistakes_of_auth(settings.auth), *mistakes_of_duration(settings.metrics.duration)]
    if settings.ssl.enabled and not settings.ssl.certfile:
        mistakes.append("`ssl.certfile` is needed, as `ssl.enabled` is true")
    cors = settings.http.cors
    if cors.enabled and not (cors.access_control_allow_origins or cors.access_control_allow_origin_regex):
        mistakes.append("`http.cors.access_control_allow_origins` is needed, as `http.cors.enabled` is true")
    return mistakes


def read_declaration(name: Any, envs: Any = (), **given: Any) -> tuple[Declaration, tuple[EnvVar, ...]]:
    """Return what a service says of itself beside its settings, and the environment variables that it declares.

    Raises:
        BentoMLConfigException: the message names every mistake.
    """
    mistakes: list[str] = []
    declaration = _read(Declaration, {"name": name, **given}, "", mistakes)
    variables = _read_envs(envs, mistakes)
    _raise(f"the configuration of service `{name}` is not valid", mistakes)
    return declaration, variables


def _read_envs(envs: Any, mistakes: list[str]) -> tuple[EnvVar, ...]:
    if not isinstance(envs, list | tuple):
        mistakes.append(f"`envs` is a list of name and value, not `{envs!r}`")
        envs = []
    variables = tuple(_read(EnvVar, env, f"envs.{i}.", mistakes) for i, env in enumerate(envs))
    for i, variable in enumerate(variables):
        if not variable.name or "=" in variable.name:
            mistakes.append(f"`envs.{i}.name` is the name of an environment variable, not `{variable.name}`")
    return variables


def _read(cls: type[S], given: Any, where: str, mistakes: list[str]) -> S:
    if given is None:
        return cls()
    if not isinstance(given, Mapping):
        mistakes.append(f"`{where.rstrip('.')}` is a mapping, not `{given!r}`")
        return cls()
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # always one of the above
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            mistakes.append(_unknown(where, str(name), list(known)))
        elif section := _section(known[name]):
            values[name] = _read(section, value, f"{where}{name}.", mistakes)
        elif value is not None:
            check: Check = known[name].metadata["check"]
            try:
                values[name] = _checked(check, value)
            except ValueError:
                mistakes.append(f"`{where}{name}` is {check.expected}, not `{value!r}`")
    return cls(**values)


def _checked(check: Check, value: Any) -> Any:
    """Return a value as it is kept; one that comes from a variable may be a number or a flag as well as a text."""
    try:
        return check.read(value)
    except ValueError:
        if not isinstance(value, Word):
            raise
        return check.read(value.value())


def _section(setting: dataclasses.Field[Any]) -> type[Any] | None:
    factory: Any = setting.default_factory
    return factory if isinstance(factory, type) else None


def _unknown(where: str, key: str, known: list[str]) -> str:
    near = nearest(key, known)
    hint = f"did you mean `{where}{near}`?" if near else f"there are {', '.join(f'`{k}`' for k in known)}"
    return f"`{where}{key}` is not known; {hint}"


def _raise(title: str, mistakes: list[str]) -> None:
    if mistakes:
        raise BentoMLConfigException("\n".join([f"{title}:", *(f"  - {m}" for m in mistakes)]))
