"""Where spans are sent: made from the settings of a service, with the exporters of OpenTelemetry that are installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal
from urllib.parse import urlsplit

from opentelemetry.sdk.trace.export import SpanExporter

from ...sdk.configuration.sections import Otlp, Tracing
from .tracing import ExporterError

__all__ = ["exporter_for", "otlp_options"]

_GRPC = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", "opentelemetry-exporter-otlp-proto-grpc"
_HTTP = "opentelemetry.exporter.otlp.proto.http.trace_exporter", "bentoml[tracing]"
_ZIPKIN = "opentelemetry.exporter.zipkin.json", "opentelemetry-exporter-zipkin-json"
_GRPC_COMPRESSION = {"gzip": "Gzip", "deflate": "Deflate", "none": "NoCompression"}


def exporter_for(kind: Literal["otlp", "zipkin", "in_memory"], settings: Tracing) -> SpanExporter:
    """Return the exporter that the settings describe; what they leave open, its own ``OTEL_EXPORTER_*`` variables say.

    Raises:
        ExporterError: its package is not installed.
    """
    if kind == "zipkin":
        return _made(_ZIPKIN, "ZipkinExporter", _zipkin_options(settings))
    if settings.otlp.protocol == "grpc":
        return _made(_GRPC, "OTLPSpanExporter", otlp_options(settings.otlp, settings.timeout))
    return _made(_HTTP, "OTLPSpanExporter", otlp_options(settings.otlp, settings.timeout, path="/v1/traces"))


def otlp_options(otlp: Otlp, timeout: float | None, *, path: str = "") -> dict[str, Any]:
    """Return the arguments of an OTLP exporter; ``path`` is put after an HTTP address that has none."""
    found: dict[str, Any] = {"endpoint": otlp.endpoint, "timeout": timeout}
    if otlp.endpoint is not None and urlsplit(otlp.endpoint).path in ("", "/"):
        found["endpoint"] = otlp.endpoint.rstrip("/") + path
    if otlp.protocol == "grpc":
        found |= {"headers": _headers(otlp.grpc.headers), "insecure": otlp.grpc.insecure}
        if otlp.compression is not None:
            found["compression"] = getattr(
                import_module("grpc").Compression, _GRPC_COMPRESSION[otlp.compression]
            )
    else:
        http = import_module("opentelemetry.exporter.otlp.proto.http")
        found |= {"headers": _headers(otlp.http.headers), "certificate_file": otlp.http.certificate_file}
        found["compression"] = http.Compression(otlp.compression) if otlp.compression else None
    return {name: value for name, value in found.items() if value is not None}


def _zipkin_options(settings: Tracing) -> dict[str, Any]:
    given = {**(settings.zipkin or {}), "timeout": settings.timeout}
    return {name: value for name, value in given.items() if value is not None}


def _headers(headers: Mapping[str, Any] | None) -> dict[str, str] | None:
    return {str(name).lower(): str(value) for name, value in headers.items()} if headers else None


def _made(where: tuple[str, str], name: str, options: dict[str, Any]) -> SpanExporter:
    module, package = where
    try:
        cls = getattr(import_module(module), name)
    except ImportError as e:
        raise ExporterError(
            f"this exporter of spans needs `{package}`; install it with `pip install '{package}'`"
        ) from e
    try:
        made: SpanExporter = cls(**options)
    except (TypeError, ValueError) as e:
        raise ExporterError(f"the exporter of spans cannot be made with {', '.join(options)}: {e}") from e
    return made
