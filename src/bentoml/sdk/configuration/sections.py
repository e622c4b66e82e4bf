"""The sections of a service's configuration: each key, what it may be, and its default."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from . import checks
from .checks import Check

__all__ = [
    "AccessLog",
    "Auth",
    "Cors",
    "Duration",
    "Endpoints",
    "EnvVar",
    "Grpc",
    "Http",
    "HttpResponse",
    "Limits",
    "LogFormat",
    "Logging",
    "Metrics",
    "Monitoring",
    "Resources",
    "RunnerConnection",
    "RunnerProbe",
    "ServiceConfig",
    "Ssl",
    "Tasks",
    "Tracing",
    "Traffic",
    "key",
    "mistakes_of_auth",
    "mistakes_of_duration",
]


class ServiceConfig(TypedDict, total=False):
    """The configuration that ``@bentoml.service(...)`` takes, section by section."""

    resources: Mapping[str, Any]
    workers: int | Literal["cpu_count"] | None
    threads: int
    backlog: int
    traffic: Mapping[str, Any]
    tasks: Mapping[str, Any]
    metrics: Mapping[str, Any]
    logging: Mapping[str, Any]
    ssl: Mapping[str, Any]
    auth: Mapping[str, Any]
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


def key(check: Check, default: Any = None) -> Any:
    """Return the field of one key: what it may be, and its default."""
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True)
class Resources:
    """What the service needs; memory in bytes."""

    cpu: float | None = key(checks.CPU)
    memory: int | None = key(checks.MEMORY)
    gpu: float | None = key(checks.GPU)
    gpu_type: str | None = key(checks.TEXT)
    tpu_type: str | None = key(checks.TEXT)


@dataclass(frozen=True)
class Traffic:
    """How long a request may take until its first byte, and how many may be under way."""

    timeout: float = key(checks.SECONDS, 60.0)
    max_concurrency: int | None = key(checks.POSITIVE)
    concurrency: int | None = key(checks.POSITIVE)
    external_queue: bool | None = key(checks.FLAG)


@dataclass(frozen=True)
class Tasks:
    """How background tasks are run and kept; times in seconds."""

    ttl: float = key(checks.SECONDS, 86400.0)
    timeout: float | None = key(checks.SECONDS)
    attempts: int = key(checks.POSITIVE, 3)
    max_pending: int = key(checks.POSITIVE, 100_000)


@dataclass(frozen=True)
class Cors:
    """What browsers may do from other origins."""

    enabled: bool = key(checks.FLAG, False)
    access_control_allow_origins: tuple[str, ...] | None = key(checks.TEXTS)
    access_control_allow_credentials: bool | None = key(checks.FLAG)
    access_control_allow_methods: tuple[str, ...] | None = key(checks.TEXTS)
    access_control_allow_headers: tuple[str, ...] | None = key(checks.TEXTS)
    access_control_allow_origin_regex: str | None = key(checks.PATTERN)
    access_control_max_age: int | None = key(checks.COUNT)
    access_control_expose_headers: tuple[str, ...] | None = key(checks.TEXTS)


@dataclass(frozen=True)
class HttpResponse:
    """What each response carries."""

    trace_id: bool = key(checks.FLAG, False)


@dataclass(frozen=True)
class Limits:
    """What a request may hold, in bytes, and how long it may take to come, in seconds.

    ``body`` is what is kept in memory; a form's files lie on disk, and ``upload`` is the limit of all of a form.
    ``memory`` is for all bodies of a worker together, and as much for its answers that wait for slow clients.
    ``body_timeout`` is the longest time without any byte of the body, and in which a client takes nothing of its answer.
    """

    body: int = key(checks.SIZE, 128 << 20)
    upload: int = key(checks.SIZE, 4 << 30)
    memory: int = key(checks.SIZE, 1 << 30)
    parts: int = key(checks.POSITIVE, 1000)
    depth: int = key(checks.POSITIVE, 100)
    headers: int = key(checks.POSITIVE, 100)
    header_size: int = key(checks.SIZE, 64 << 10)
    head_timeout: float = key(checks.SECONDS, 20.0)
    body_timeout: float = key(checks.SECONDS, 60.0)


@dataclass(frozen=True)
class Http:
    """Where the server listens: on this machine only, unless it is told otherwise."""

    host: str = key(checks.TEXT, "127.0.0.1")
    port: int = key(checks.PORT, 3000)
    proxy_port: int = key(checks.PORT, 8000)
    cors: Cors = field(default_factory=Cors)
    response: HttpResponse = field(default_factory=HttpResponse)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class LogFormat:
    """How ids are written, as format specifications."""

    trace_id: str = key(checks.FORMAT, "032x")
    span_id: str = key(checks.FORMAT, "016x")


@dataclass(frozen=True)
class AccessLog:
    """What the access log says; ``skip_paths`` are beginnings of paths."""

    enabled: bool = key(checks.FLAG, True)
    request_content_length: bool = key(checks.FLAG, True)
    request_content_type: bool = key(checks.FLAG, True)
    response_content_length: bool = key(checks.FLAG, True)
    response_content_type: bool = key(checks.FLAG, True)
    skip_paths: tuple[str, ...] = key(checks.TEXTS, ("/metrics", "/healthz", "/livez", "/readyz"))
    json: bool | None = key(checks.FLAG)
    format: LogFormat = field(default_factory=LogFormat)


@dataclass(frozen=True)
class Logging:
    """What is logged, and how: lines of text, or a JSON object a line."""

    json: bool = key(checks.FLAG, False)
    access: AccessLog = field(default_factory=AccessLog)


@dataclass(frozen=True)
class Duration:
    """The buckets of the duration histogram: a list, or from ``min`` to ``max`` by ``factor``."""

    buckets: tuple[float, ...] | None = key(checks.NUMBERS)
    min: float | None = key(checks.SECONDS)
    max: float | None = key(checks.SECONDS)
    factor: float | None = key(checks.FACTOR)


_MAX_BUCKETS = 100


def mistakes_of_duration(duration: Duration) -> list[str]:
    """Return what does not fit together in the buckets of the histogram."""
    ends = (duration.min, duration.max, duration.factor)
    if ends == (None, None, None):
        return []
    if duration.buckets:
        return ["`metrics.duration` has either `buckets` or `min`, `max` and `factor`, not both"]
    if duration.min is None or duration.max is None or duration.factor is None:
        return ["`metrics.duration` needs all of `min`, `max` and `factor`, or `buckets`"]
    if duration.max <= duration.min:
        return [f"`metrics.duration.max` is above `min`, which `{duration.max}` is not"]
    steps = math.ceil(math.log(duration.max / duration.min, duration.factor))
    if steps > _MAX_BUCKETS:
        return [
            f"`metrics.duration` gives {steps} buckets; at most {_MAX_BUCKETS} are useful, so take a larger `factor`"
        ]
    return []


@dataclass(frozen=True)
class Metrics:
    """What is counted, and under which names."""

    enabled: bool = key(checks.FLAG, True)
    namespace: str = key(checks.METRIC, "bentoml_service")
    duration: Duration = field(default_factory=Duration)


@dataclass(frozen=True)
class Ssl:
    """The certificate of the server."""

    enabled: bool = key(checks.FLAG, False)
    certfile: str | None = key(checks.TEXT)
    keyfile: str | None = key(checks.TEXT)
    keyfile_password: str | None = key(checks.TEXT)
    ca_certs: str | None = key(checks.TEXT)
    version: int | None = key(checks.POSITIVE)
    cert_reqs: int | None = key(checks.COUNT)
    ciphers: str | None = key(checks.TEXT)


@dataclass(frozen=True)
class Auth:
    """Who may call: the holders of a key, or of a signed token. Secrets are named, and never given here.

    ``env`` names the environment variable, and ``file`` the file, that holds the keys (one on each line) or what the
    tokens are signed with: a secret, or a public key.
    """

    type: Literal["api_key", "jwt"] | None = key(checks.AUTH)
    env: str | None = key(checks.TEXT)
    file: str | None = key(checks.TEXT)
    header: str = key(checks.TEXT, "authorization")
    algorithms: tuple[str, ...] = key(checks.TEXTS, ())
    audience: tuple[str, ...] | None = key(checks.TEXTS)
    issuer: tuple[str, ...] | None = key(checks.TEXTS)
    leeway: float = key(checks.NUMBER, 0.0)


_SHARED_SECRET = ("HS256", "HS384", "HS512")
_PUBLIC_KEY = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES256K", "ES384", "ES512", "EdDSA",
)  # fmt: skip


def mistakes_of_auth(auth: Auth) -> list[str]:
    """Return what does not fit together; a token's own word about its algorithm must never choose the kind of key."""
    if auth == Auth():
        return []
    mistakes: list[str] = []
    if auth.type is None:
        mistakes.append("`auth.type` is needed: `api_key` or `jwt`")
    if (auth.env is None) == (auth.file is None):
        mistakes.append(
            "`auth` needs either `env`, the environment variable with the secret, or `file`, a file with it"
        )
    if not _HEADER.fullmatch(auth.header):
        mistakes.append(f"`auth.header` is the name of a header, not `{auth.header}`")
    if auth.type == "jwt":
        mistakes += _mistakes_of_algorithms(auth.algorithms)
    return mistakes


def _mistakes_of_algorithms(algorithms: tuple[str, ...]) -> list[str]:
    known = ", ".join(f"`{a}`" for a in (*_SHARED_SECRET, *_PUBLIC_KEY))
    if not algorithms:
        return [f"`auth.algorithms` is needed, as `auth.type` is `jwt`: some of {known}"]
    mistakes = [
        f"`auth.algorithms`: `{a}` is not accepted; there are {known}"
        for a in algorithms
        if a not in _SHARED_SECRET + _PUBLIC_KEY
    ]
    if {a in _SHARED_SECRET for a in algorithms} == {True, False}:
        mistakes.append(
            "`auth.algorithms` has algorithms of shared secrets (HS...) and of public keys; it needs one kind, as there is "
            "one key"
        )
    return mistakes


_HEADER = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True)
class RunnerProbe:
    """Whether `/readyz` asks the dependencies that run elsewhere, and for how many seconds each may think."""

    enabled: bool = key(checks.FLAG, True)
    timeout: float = key(checks.SECONDS, 1)
    period: float = key(checks.SECONDS, 10)


@dataclass(frozen=True)
class RunnerConnection:
    """How long connections to other services are kept: a number of requests, and seconds."""

    max_requests: int = key(checks.POSITIVE, 100)
    max_age: float = key(checks.SECONDS, 300.0)


@dataclass(frozen=True)
class Endpoints:
    """Further paths of the probes, for who expects them elsewhere."""

    livez: str | None = key(checks.PATH)
    readyz: str | None = key(checks.PATH)


@dataclass(frozen=True)
class Monitoring:
    """Where ``bentoml.monitor`` writes; ``options`` are those of the ``type``."""

    enabled: bool = key(checks.FLAG, True)
    type: str = key(checks.TEXT, "default")
    options: Mapping[str, Any] | None = key(checks.MAPPING)


@dataclass(frozen=True)
class OtlpHttp:
    """OTLP over HTTP."""

    certificate_file: str | None = key(checks.TEXT)
    headers: Mapping[str, Any] | None = key(checks.MAPPING)


@dataclass(frozen=True)
class OtlpGrpc:
    """OTLP over gRPC."""

    headers: Mapping[str, Any] | None = key(checks.MAPPING)
    insecure: bool | None = key(checks.FLAG)


@dataclass(frozen=True)
class Otlp:
    """The collector that takes spans."""

    protocol: Literal["http", "grpc"] = key(checks.OTLP, "http")
    endpoint: str | None = key(checks.TEXT)
    compression: Literal["gzip", "deflate", "none"] | None = key(checks.COMPRESSION)
    http: OtlpHttp = field(default_factory=OtlpHttp)
    grpc: OtlpGrpc = field(default_factory=OtlpGrpc)


@dataclass(frozen=True)
class Tracing:
    """Where spans go, and how many of the requests have them; the mappings are those of the exporters."""

    exporter_type: Literal["zipkin", "jaeger", "otlp", "in_memory"] | None = key(checks.EXPORTER)
    sample_rate: float | None = key(checks.SHARE)
    excluded_urls: tuple[str, ...] | None = key(checks.PATTERNS)
    timeout: float | None = key(checks.SECONDS)
    max_tag_value_length: int | None = key(checks.POSITIVE)
    zipkin: Mapping[str, Any] | None = key(checks.MAPPING)
    jaeger: Mapping[str, Any] | None = key(checks.MAPPING)
    otlp: Otlp = field(default_factory=Otlp)


@dataclass(frozen=True)
class Grpc:
    """Accepted as BentoML 1.x has it: services of today speak HTTP only."""

    host: str = key(checks.TEXT, "0.0.0.0")
    port: int = key(checks.PORT, 3000)
    metrics: Mapping[str, Any] | None = key(checks.MAPPING)
    reflection: Mapping[str, Any] | None = key(checks.MAPPING)
    channelz: Mapping[str, Any] | None = key(checks.MAPPING)
    max_concurrent_streams: int | None = key(checks.POSITIVE)
    maximum_concurrent_rpcs: int | None = key(checks.POSITIVE)
    max_message_length: int = key(checks.LENGTH, -1)


@dataclass(frozen=True)
class EnvVar:
    """An environment variable that a service needs or sets; ``stage`` says when."""

    name: str = key(checks.TEXT, "")
    value: str = key(checks.TEXT, "")
    stage: Literal["all", "build", "runtime"] = key(checks.STAGE, "all")
