"""Whether the requests of a service have spans of OpenTelemetry, which is loaded only where they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from ...exceptions import BentoMLConfigException
from ...sdk.configuration.sections import Tracing
from ...sdk.service import Service
from ..call import SPAN

if TYPE_CHECKING:
    from .spans import Spans

__all__ = ["Exporter", "ExporterError", "Traced", "exporter_of", "finished_spans", "open_spans"]

Exporter = Literal["otlp", "in_memory", "zipkin"]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


class ExporterError(BentoMLConfigException):
    """The spans cannot be sent where the configuration wants them."""


def exporter_of(settings: Tracing, env: Mapping[str, str]) -> Exporter | None:
    """Return where spans go: what the service says, else ``OTEL_TRACES_EXPORTER``; None is nowhere.

    Raises:
        ExporterError: it is a place that there is no way to any more, or one that is not known.
    """
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    name = settings.exporter_type or env.get("OTEL_TRACES_EXPORTER", "").strip()
    if name in ("", "none"):
        return None
    if name == "jaeger":
        raise ExporterError(
            "`tracing.exporter_type` cannot be `jaeger`, whose own protocols are gone: Jaeger takes OTLP; write "
            '`tracing={"exporter_type": "otlp", "otlp": {"endpoint": "http://<jaeger>:4318"}}`'
        )
    for known in get_args(Exporter):
        if name == known:
            return known  # type: ignore[no-any-return]  # one of the literals
    raise ExporterError(f"`OTEL_TRACES_EXPORTER` is `{name}`; there are `otlp`, `zipkin` and `none`")


def open_spans(
    service: Service[Any], *, version: str, worker_index: int | None, env: Mapping[str, str]
) -> Spans | None:
    """Return what makes the spans of a service and sends them; None where nobody wants them.

    Raises:
        ExporterError: the exporter is not installed, or not known.
    """
    exporter = exporter_of(service.settings.tracing, env)
    if exporter is None:
        return None
    try:
        from .spans import start_spans
    except ImportError as e:
        if not (e.name or "").startswith("opentelemetry"):
            raise
        raise ExporterError(
            "tracing needs the OpenTelemetry SDK; install it with `pip install 'bentoml[tracing]'`"
        ) from e
    return start_spans(service, exporter, version=version, worker_index=worker_index, env=env)


def finished_spans() -> list[Any]:
    """Return the spans that ended so far, of the exporter ``in_memory``: for tests of a service."""
    from .spans import finished

    return finished()


class Traced:
    """Wrap an application: a span around each request, under whose ids it is logged."""

    def __init__(self, app: ASGIApp, spans: Spans, route: str | None = None) -> None:
        self._app = app
        self._spans = spans
        self._route = route

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if self._spans.leaves_out(scope):
            return await self._app(scope, receive, send)
        with self._spans.around(scope, self._route) as span:
            scope[SPAN] = span
            await self._app(scope, receive, span.watched(send))
