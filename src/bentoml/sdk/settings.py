"""ServiceSettings: how a service is to be run, read from the decorator's arguments with all mistakes at once."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, TypeVar

from ..exceptions import BentoMLConfigException
from . import checks
from .checks import Check
from .overrides import overridden

__all__ = [
    "AccessLog",
    "Cors",
    "Duration",
    "EnvVar",
    "Http",
    "HttpResponse",
    "LogFormat",
    "Logging",
    "Metrics",
    "Resources",
    "ServiceConfig",
    "ServiceSettings",
    "Ssl",
    "Traffic",
    "read_envs",
]

S = TypeVar("S")


class ServiceConfig(TypedDict, total=False):
    """The configuration that ``@bentoml.service(...)`` takes, section by section."""

    resources: Mapping[str, Any]
    workers: int | Literal["cpu_count"] | None
    threads: int
    backlog: int
    traffic: Mapping[str, Any]
    metrics: Mapping[str, Any]
    logging: Mapping[str, Any]
    ssl: Mapping[str, Any]
    http: Mapping[str, Any]
    grpc: Mapping[str, Any]
    runner_probe: Mapping[str, Any]
    runner_connection: Mapping[str, Any]
    max_runner_connections: int
    replicate_process: bool
    extra_ports: list[int]
    monitoring: Mapping[str, Any]
    tracing: Mapping[str, Any]
    endpoints: Mapping[str, Any]


def _key(check: Check, default: Any = None) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True)
class Resources:
    """What the service needs; memory in bytes."""

    cpu: float | None = _key(checks.CPU)
    memory: int | None = _key(checks.MEMORY)
    gpu: float | None = _key(checks.GPU)
    gpu_type: str | None = _key(checks.TEXT)
    tpu_type: str | None = _key(checks.TEXT)


@dataclass(frozen=True)
class Traffic:
    """How long a request may take until its first byte, and how many may be under way."""

    timeout: float = _key(checks.SECONDS, 60.0)
    max_concurrency: int | None = _key(checks.POSITIVE)
    concurrency: int | None = _key(checks.POSITIVE)
    external_queue: bool | None = _key(checks.FLAG)


@dataclass(frozen=True)
class Cors:
    """What browsers may do from other origins."""

    enabled: bool = _key(checks.FLAG, False)
    access_control_allow_origins: tuple[str, ...] | None = _key(checks.TEXTS)
    access_control_allow_credentials: bool | None = _key(checks.FLAG)
    access_control_allow_methods: tuple[str, ...] | None = _key(checks.TEXTS)
    access_control_allow_headers: tuple[str, ...] | None = _key(checks.TEXTS)
    access_control_allow_origin_regex: str | None = _key(checks.TEXT)
    access_control_max_age: int | None = _key(checks.POSITIVE)
    access_control_expose_headers: tuple[str, ...] | None = _key(checks.TEXTS)


@dataclass(frozen=True)
class HttpResponse:
    """What each response carries."""

    trace_id: bool = _key(checks.FLAG, False)


@dataclass(frozen=True)
class Http:
    """Where the server listens: on this machine only, unless it is told otherwise."""

    host: str = _key(checks.TEXT, "127.0.0.1")
    port: int = _key(checks.PORT, 3000)
    proxy_port: int = _key(checks.PORT, 8000)
    cors: Cors = field(default_factory=Cors)
    response: HttpResponse = field(default_factory=HttpResponse)


@dataclass(frozen=True)
class LogFormat:
    """How ids are written, as format specifications."""

    trace_id: str = _key(checks.TEXT, "032x")
    span_id: str = _key(checks.TEXT, "016x")


@dataclass(frozen=True)
class AccessLog:
    """What the access log says; ``skip_paths`` are beginnings of paths."""

    enabled: bool = _key(checks.FLAG, True)
    request_content_length: bool = _key(checks.FLAG, True)
    request_content_type: bool = _key(checks.FLAG, True)
    response_content_length: bool = _key(checks.FLAG, True)
    response_content_type: bool = _key(checks.FLAG, True)
    skip_paths: tuple[str, ...] = _key(checks.TEXTS, ("/metrics", "/healthz", "/livez", "/readyz"))
    format: LogFormat = field(default_factory=LogFormat)


@dataclass(frozen=True)
class Logging:
    """What is logged."""

    access: AccessLog = field(default_factory=AccessLog)


@dataclass(frozen=True)
class Duration:
    """The buckets of the duration histogram: a list, or from ``min`` to ``max`` by ``factor``."""

    buckets: tuple[float, ...] | None = _key(checks.NUMBERS)
    min: float | None = _key(checks.SECONDS)
    max: float | None = _key(checks.SECONDS)
    factor: float | None = _key(checks.NUMBER)


@dataclass(frozen=True)
class Metrics:
    """What is counted, and under which names."""

    enabled: bool = _key(checks.FLAG, True)
    namespace: str = _key(checks.TEXT, "bentoml_service")
    duration: Duration = field(default_factory=Duration)


@dataclass(frozen=True)
class Ssl:
    """The certificate of the server."""

    enabled: bool = _key(checks.FLAG, False)
    certfile: str | None = _key(checks.TEXT)
    keyfile: str | None = _key(checks.TEXT)
    keyfile_password: str | None = _key(checks.TEXT)
    ca_certs: str | None = _key(checks.TEXT)
    version: int | None = _key(checks.POSITIVE)
    cert_reqs: int | None = _key(checks.COUNT)
    ciphers: str | None = _key(checks.TEXT)


@dataclass(frozen=True)
class EnvVar:
    """An environment variable that a service needs or sets; ``stage`` says when."""

    name: str = _key(checks.TEXT, "")
    value: str = _key(checks.TEXT, "")
    stage: Literal["all", "build", "runtime"] = _key(checks.STAGE, "all")


@dataclass(frozen=True)
class ServiceSettings:
    """Every setting of a service, checked; those under ``Sections without effect`` are accepted and kept as given."""

    workers: int | Literal["cpu_count"] = _key(checks.WORKERS, 1)
    threads: int = _key(checks.POSITIVE, 1)
    backlog: int = _key(checks.BACKLOG, 2048)
    traffic: Traffic = field(default_factory=Traffic)
    resources: Resources = field(default_factory=Resources)
    http: Http = field(default_factory=Http)
    logging: Logging = field(default_factory=Logging)
    metrics: Metrics = field(default_factory=Metrics)
    ssl: Ssl = field(default_factory=Ssl)
    extra_ports: tuple[int, ...] = _key(checks.PORTS, ())
    replicate_process: bool = _key(checks.FLAG, False)
    max_runner_connections: int = _key(checks.POSITIVE, 16)
    # Sections without effect as yet.
    grpc: Mapping[str, Any] | None = _key(checks.MAPPING)
    runner_probe: Mapping[str, Any] | None = _key(checks.MAPPING)
    runner_connection: Mapping[str, Any] | None = _key(checks.MAPPING)
    monitoring: Mapping[str, Any] | None = _key(checks.MAPPING)
    tracing: Mapping[str, Any] | None = _key(checks.MAPPING)
    endpoints: Mapping[str, Any] | None = _key(checks.MAPPING)

    @classmethod
    def build(
        cls, name: str, config: Mapping[str, Any], env: Mapping[str, str] | None = None
    ) -> ServiceSettings:
        """Return the settings of a service from the arguments of its decorator, and the overrides in ``env``.

        Raises:
            BentoMLConfigException: the message names every mistake, and the nearest key of one that does not exist.
        """
        mistakes: list[str] = []
        names = {f.name for f in dataclasses.fields(cls)}
        settings = _read(cls, overridden(name, config, env or {}, settings=names), "", mistakes)
        if settings.ssl.enabled and not settings.ssl.certfile:
            mistakes.append("`ssl.certfile` is needed, as `ssl.enabled` is true")
        cors = settings.http.cors
        if cors.enabled and not (cors.access_control_allow_origins or cors.access_control_allow_origin_regex):
            mistakes.append(
                "`http.cors.access_control_allow_origins` is needed, as `http.cors.enabled` is true"
            )
        _raise(f"the configuration of service `{name}` is not valid", mistakes)
        return settings


def read_envs(name: str, envs: Any) -> tuple[EnvVar, ...]:
    """Return the environment variables that a service declares.

    Raises:
        BentoMLConfigException: the message names every mistake.
    """
    mistakes: list[str] = []
    if not isinstance(envs, list | tuple):
        mistakes.append(f"`envs` is a list of name and value, not `{envs!r}`")
        envs = []
    variables = tuple(_read(EnvVar, env, f"envs.{i}.", mistakes) for i, env in enumerate(envs))
    for i, variable in enumerate(variables):
        if not variable.name or "=" in variable.name:
            mistakes.append(f"`envs.{i}.name` is the name of an environment variable, not `{variable.name}`")
    _raise(f"the configuration of service `{name}` is not valid", mistakes)
    return variables


def _read(cls: type[S], given: Any, where: str, mistakes: list[str]) -> S:
    if given is None:
        return cls()
    if not isinstance(given, Mapping):
        mistakes.append(f"`{where.rstrip('.')}` is a mapping, not `{given!r}`")
        return cls()
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # always one of the above
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            mistakes.append(_unknown(where, str(key), list(known)))
        elif section := _section(known[key]):
            values[key] = _read(section, value, f"{where}{key}.", mistakes)
        elif value is not None:
            check: Check = known[key].metadata["check"]
            try:
                values[key] = check.read(value)
            except ValueError:
                mistakes.append(f"`{where}{key}` is {check.expected}, not `{value!r}`")
    return cls(**values)


def _section(setting: dataclasses.Field[Any]) -> type[Any] | None:
    factory: Any = setting.default_factory
    return factory if isinstance(factory, type) else None


def _unknown(where: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean `{where}{near[0]}`?" if near else f"there are {', '.join(f'`{k}`' for k in known)}"
    return f"`{where}{key}` is not known; {hint}"


def _raise(title: str, mistakes: list[str]) -> None:
    if mistakes:
        raise BentoMLConfigException("\n".join([f"{title}:", *(f"  - {m}" for m in mistakes)]))
