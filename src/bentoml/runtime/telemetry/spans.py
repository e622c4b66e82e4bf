"""A span of OpenTelemetry for each request: its parent, its attributes, when it ends, and where it is sent.

Names of attributes are those of the semantic conventions for HTTP servers, 1.23 and later.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from ...sdk.configuration.sections import Tracing
from ...sdk.service import Service
from ..call import IDS, ROUTE, Scope, Send
from .exporters import exporter_for
from .tracing import Exporter

__all__ = ["RequestSpan", "Spans", "finished", "start_spans"]

_LIBRARY = "bentoml"
_PATIENCE = 3.0  # seconds: a collector that is not there must not hold up the end of the server
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}


class _Memory:
    exporter = InMemorySpanExporter()  # of the service that started last


def start_spans(
    service: Service[Any],
    exporter: Exporter,
    *,
    version: str,
    worker_index: int | None,
    env: Mapping[str, str],
) -> Spans:
    """Make the tracer of a service, and make it the one that the user's own code gets, too."""
    settings = service.settings.tracing
    theirs = trace.get_tracer_provider()
    # What the user's code has set up goes on, and gets our exporter in addition.
    provider = (
        theirs
        if isinstance(theirs, TracerProvider)
        else TracerProvider(
            sampler=_sampler(settings, env),
            resource=_resource(service.name, version, worker_index, env),
            span_limits=SpanLimits(max_span_attribute_length=settings.max_tag_value_length),
            shutdown_on_exit=False,
        )
    )
    provider.add_span_processor(_processor(exporter, settings))
    if provider is not theirs:
        _use(provider, theirs)
    return Spans(provider, _excluded(settings, env), is_own=provider is not theirs)


def finished() -> list[Any]:
    """Return the spans that the exporter in memory was given."""
    return list(_Memory.exporter.get_finished_spans())


def _resource(service: str, version: str, worker_index: int | None, env: Mapping[str, str]) -> Resource:
    about = {"service.name": env.get("OTEL_SERVICE_NAME") or service, "service.version": version}
    instance = {} if worker_index is None else {"service.instance.id": str(worker_index)}
    return Resource.create({**about, **instance})


def _processor(exporter: Exporter, settings: Tracing) -> SpanProcessor:
    if exporter == "in_memory":
        _Memory.exporter = InMemorySpanExporter()
        return SimpleSpanProcessor(_Memory.exporter)
    return BatchSpanProcessor(exporter_for(exporter, settings))


def _sampler(settings: Tracing, env: Mapping[str, str]) -> Sampler | None:
    """Return who decides whether a request has spans: its caller, or for one without a parent the configured share."""
    if settings.sample_rate is None and "OTEL_TRACES_SAMPLER" in env:
        return None  # the library reads it
    return ParentBased(TraceIdRatioBased(1.0 if settings.sample_rate is None else settings.sample_rate))


def _excluded(settings: Tracing, env: Mapping[str, str]) -> re.Pattern[str] | None:
    patterns = settings.excluded_urls
    if patterns is None:
        patterns = tuple(p.strip() for p in env.get("OTEL_PYTHON_EXCLUDED_URLS", "").split(",") if p.strip())
    return re.compile("|".join(f"(?:{p})" for p in patterns)) if patterns else None


class Spans:
    """The spans of one service in one worker."""

    def __init__(self, provider: TracerProvider, excluded: re.Pattern[str] | None, *, is_own: bool) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(_LIBRARY)
        self._excluded = excluded
        self._is_own = is_own

    def leaves_out(self, scope: Scope) -> bool:
        """Tell whether a request is to have no span."""
        return self._excluded is not None and self._excluded.search(scope["path"]) is not None

    @contextmanager
    def around(self, scope: Scope, route: str | None) -> Iterator[RequestSpan]:
        """Run the block in the span of a request, so that those which the user's code makes are its children."""
        parent = propagate.extract({k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]})
        span = self._tracer.start_span(
            _name(scope, route), parent, kind=SpanKind.SERVER, attributes=_attributes(scope, route)
        )
        ids = span.get_span_context()
        scope[IDS] = (ids.trace_id, ids.span_id, int(ids.trace_flags.sampled))
        request = RequestSpan(span, scope)
        token = contexts.attach(trace.set_span_in_context(span, parent))
        try:
            yield request
        except BaseException as e:
            request.failed(e)
            raise
        finally:
            contexts.detach(token)
            request.end()

    def close(self) -> None:
        """Send what is left; what cannot be sent within some seconds is lost."""
        end = self._provider.shutdown if self._is_own else self._provider.force_flush
        thread = threading.Thread(target=end, name="bentoml-last-spans", daemon=True)
        thread.start()
        thread.join(_PATIENCE)


class RequestSpan:
    """The span of one request, which ends with the last byte of the answer."""

    def __init__(self, span: Span, scope: Scope) -> None:
        self._span = span
        self._scope = scope
        self._begun = False
        self._end: int | None = None

    def watched(self, send: Send) -> Send:
        """Return a ``send`` that notes what the answer is, and when it began and ended."""
        return self._watch(send) if self._span.is_recording() else send

    def failed(self, error: BaseException) -> None:
        """Note an error of the user's code."""
        self._span.record_exception(error)
        self._span.set_attribute("error.type", type(error).__qualname__)
        self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))

    def end(self) -> None:
        """Name the route, if something found it out, and end."""
        route = self._scope.get(ROUTE)
        if route is not None and self._span.is_recording():
            self._span.set_attribute("http.route", route)
            self._span.update_name(_name(self._scope, route))
        self._span.end(self._end)

    def _watch(self, send: Send) -> Send:
        async def watched(message: Any) -> None:
            await send(message)
            kind = message["type"]
            if kind == "http.response.body":
                self._body(message)
            elif kind == "http.response.start":
                self._status(message["status"])
            elif kind == "websocket.accept":
                self._status(101)

        return watched

    def _body(self, message: Any) -> None:
        more = message.get("more_body", False)
        if more and not self._begun:
            self._begun = True
            self._span.add_event("first byte")
        if not more:
            self._end = time.time_ns()

    def _status(self, status: int) -> None:
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(Status(StatusCode.ERROR))


def _name(scope: Scope, route: str | None) -> str:
    method = _method(scope)
    return method if route is None else f"{method} {route}"


def _method(scope: Scope) -> str:
    method = scope.get("method", "GET")
    return method if method in _METHODS else "HTTP"


def _attributes(scope: Scope, route: str | None) -> dict[str, str | int]:
    headers = {k: v.decode("latin-1") for k, v in scope["headers"] if k == b"user-agent"}
    client, server = scope.get("client"), scope.get("server")
    method = scope.get("method", "GET")
    found: dict[str, str | int | None] = {
        "http.request.method": method if method in _METHODS else "_OTHER",
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "http.route": route,
        "network.protocol.version": scope.get("http_version"),
        "client.address": client[0] if client else None,
        "server.address": server[0] if server else None,
        "server.port": server[1] if server else None,
        "user_agent.original": headers.get(b"user-agent"),
    }
    return {name: value for name, value in found.items() if value is not None}


# The library's own global provider is set once in a process. Ours stands for that of the service which runs now, so that one
# service after another (the tests of a project) can run in one process.


class _Current(trace.TracerProvider):
    provider: trace.TracerProvider = trace.NoOpTracerProvider()

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return _CurrentTracer(self, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.provider, name)


class _CurrentTracer(trace.Tracer):
    def __init__(self, current: _Current, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._current = current
        self._args, self._kwargs = args, kwargs
        self._made: tuple[trace.TracerProvider, trace.Tracer] | None = None

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        return self._tracer().start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._tracer().start_as_current_span(*args, **kwargs)

    def _tracer(self) -> trace.Tracer:
        provider = self._current.provider
        if self._made is None or self._made[0] is not provider:
            self._made = provider, provider.get_tracer(*self._args, **self._kwargs)
        return self._made[1]


def _use(provider: TracerProvider, known: trace.TracerProvider) -> None:
    current = known
    if not isinstance(current, _Current):
        current = _Current()
        trace.set_tracer_provider(current)
    current.provider = provider
