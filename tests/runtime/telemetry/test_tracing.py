"""Spans of requests: who their parents are, what they say, when they end, and where they are sent."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket
from tests.collector import collector

import bentoml
from bentoml.runtime.telemetry.propagation import trace_headers
from bentoml.runtime.telemetry.tracing import ExporterError, exporter_of, finished_spans
from bentoml.sdk.configuration.sections import Tracing

from ..served import served

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
tracer = trace.get_tracer("the user's own")  # made before any service runs, as in a user's module


@tracer.start_as_current_span("inside")
async def inside() -> None:
    """Do something in a span of its own, as a decorated function does."""
    await asyncio.sleep(0)


def traced(**tracing: Any) -> Any:
    """Return a service whose requests have spans, in memory if nothing else is said."""

    @bentoml.service(
        name="Traced",
        tracing={"exporter_type": "in_memory", **tracing},
        http={"response": {"trace_id": True}},
        traffic={"timeout": 0.5},
    )
    class Service:
        @bentoml.api
        def sync(self, fail: bool = False) -> str:
            with tracer.start_as_current_span("inside"):
                if fail:
                    raise ValueError("a bug")
                return "done"

        @bentoml.api
        async def asynchronous(self) -> str:
            await inside()
            return "done"

        @bentoml.api
        async def stream(self) -> AsyncIterator[str]:
            for n in range(3):
                with tracer.start_as_current_span("inside"):
                    await asyncio.sleep(0.02)
                yield str(n)

        @bentoml.api
        def steps(self) -> Iterator[str]:
            with tracer.start_as_current_span("inside"):
                yield "0"

        @bentoml.api
        async def slow(self) -> str:
            await asyncio.sleep(5)
            return "never"

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    routes = [Route("/x/{n}", lambda request: PlainTextResponse("x")), WebSocketRoute("/ws", echo)]
    service: Any = Service
    service.mount_asgi_app(Starlette(routes=routes), path="/m")
    return service


def named(name: str) -> Any:
    (span,) = [span for span in finished_spans() if span.name == name]
    return span


@pytest.mark.parametrize("path", ["sync", "asynchronous", "stream", "steps"])
def test_the_span_of_a_request_is_the_parent_of_those_of_the_users_code(path: str) -> None:
    with served(traced()) as app:
        reply = app.ask(f"/{path}", headers={"user-agent": "me"})
        span = named(f"POST /{path}")
        assert reply.headers["x-bentoml-trace-id"] == f"{span.context.trace_id:032x}"
        assert reply.headers["x-bentoml-request-id"] == f"{span.context.span_id:016x}"
        children = [s for s in finished_spans() if s.name == "inside"]
        assert len(children) == (3 if path == "stream" else 1)
        assert {s.parent.span_id for s in children} == {span.context.span_id}
        assert span.parent is None
        assert span.kind is trace.SpanKind.SERVER
        assert dict(span.attributes) == {
            "http.request.method": "POST",
            "url.path": f"/{path}",
            "url.scheme": "http",
            "http.route": f"/{path}",
            "http.response.status_code": 200,
            "network.protocol.version": "1.1",
            "client.address": "127.0.0.1",
            "server.address": "127.0.0.1",
            "server.port": 3000,
            "user_agent.original": "me",
        }
        assert span.resource.attributes["service.name"] == "Traced"
        assert span.status.status_code is StatusCode.UNSET


def test_the_callers_trace_goes_on() -> None:
    with served(traced()) as app:
        reply = app.ask("/sync", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        assert reply.headers["x-bentoml-trace-id"] == TRACE
        span = named("POST /sync")
        assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
        app.ask(
            "/asynchronous", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"}
        )  # the caller does not want it
        assert [s.name for s in finished_spans()] == ["inside", "POST /sync"]


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 0), (1.0, 2), (None, 2)])
def test_the_share_of_requests_that_have_spans(rate: float | None, expected: int) -> None:
    with served(traced(sample_rate=rate)) as app:
        assert "x-bentoml-trace-id" in app.ask("/sync").headers
        assert len(finished_spans()) == expected


def test_errors_are_in_the_span(caplog: pytest.LogCaptureFixture) -> None:
    with served(traced()) as app:
        assert app.ask("/sync", {"fail": True}).status == 500
        span = named("POST /sync")
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["http.response.status_code"] == 500
        (event,) = span.events
        assert event.attributes["exception.message"] == "a bug"
        assert f"trace={span.context.trace_id:032x},span={span.context.span_id:016x},sampled=1" in str(
            caplog.records[-1].trace  # type: ignore[attr-defined]  # an extra of ours
        )


def test_a_request_that_took_too_long() -> None:
    with served(traced()) as app:
        assert app.ask("/slow").status == 504
        span = named("POST /slow")
        assert span.attributes["http.response.status_code"] == 504
        assert span.status.status_code is StatusCode.ERROR


def test_the_span_of_a_stream_lasts_as_long_as_the_stream() -> None:
    with served(traced()) as app:
        assert app.ask("/stream").body.endswith(b"2")
        span = named("POST /stream")
        (first,) = span.events
        assert first.name == "first byte"
        assert span.start_time + 10e6 < first.timestamp < span.end_time - 30e6


def test_a_client_that_goes_away_ends_the_span() -> None:
    with served(traced()) as app:
        app.ask("/stream", on_chunk=lambda reply: True)
        assert named("POST /stream").end_time is not None


def test_bad_input_is_the_callers_fault() -> None:
    with served(traced()) as app:
        assert app.ask("/sync", {"fail": "what"}).status == 400
        span = named("POST /sync")
        assert span.attributes["http.response.status_code"] == 400
        assert span.status.status_code is StatusCode.UNSET
        assert not span.events


def test_mounts_pages_websockets_and_unknown_paths() -> None:
    with TestClient(traced().to_asgi()) as client:
        client.get("/m/x/1")
        client.get("/readyz")
        client.request("BREW", "/unknown/1")
        with client.websocket_connect("/m/ws"):
            pass
        assert [s.name for s in finished_spans()] == [
            "GET /m/x/{n}",
            "GET /readyz",
            "HTTP other",
            "GET /m/ws",
        ]
        assert finished_spans()[2].attributes["http.request.method"] == "_OTHER"
        assert finished_spans()[3].attributes["http.response.status_code"] == 101


def test_paths_that_are_left_out_and_long_values() -> None:
    with served(traced(excluded_urls="^/readyz$,sync", max_tag_value_length=5)) as app:
        for path in ("/sync", "/asynchronous"):
            assert app.ask(path).status == 200
        app.ask("/readyz", method="GET")
        assert "inside" in [s.name for s in finished_spans()]  # the user's own are the user's
        app.ask("/stream")
        assert named("POST /stream").attributes["url.path"] == "/stre"


def test_the_access_log_has_the_ids_of_the_span(caplog: pytest.LogCaptureFixture) -> None:
    access = logging.getLogger("bentoml.access")
    access.addHandler(caplog.handler)
    access.setLevel(logging.INFO)
    try:
        with served(traced(), access_log=True) as app:
            app.ask("/sync")
            span = named("POST /sync")
    finally:
        access.removeHandler(caplog.handler)
        access.setLevel(logging.NOTSET)
    ids = (
        f"(trace={span.context.trace_id:032x},span={span.context.span_id:016x},sampled=1,service.name=Traced)"
    )
    assert any(ids in record.getMessage() for record in caplog.records)


def test_services_one_after_another_have_their_own_spans() -> None:
    for _ in range(2):
        with served(traced()) as app:
            app.ask("/sync")
            assert [s.name for s in finished_spans()] == ["inside", "POST /sync"]


# Where they are sent.


def test_spans_are_sent_to_a_collector() -> None:
    with collector() as otlp:
        settings = {"endpoint": otlp.url, "http": {"headers": {"X-Key": "k"}}}
        with served(traced(exporter_type="otlp", otlp=settings)) as app:
            app.ask("/sync")
        ((path, headers, body),) = otlp.received
    assert (path, headers["x-key"]) == ("/v1/traces", "k")
    request = ExportTraceServiceRequest.FromString(body)
    (resource,) = request.resource_spans
    assert {s.name for scope in resource.scope_spans for s in scope.spans} == {"inside", "POST /sync"}
    assert ("service.name", "Traced") in {(a.key, a.value.string_value) for a in resource.resource.attributes}


@pytest.mark.slow
def test_the_variables_of_opentelemetry_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as otlp:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.url)
        env = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SERVICE_NAME": "of the environment"}
        with served(traced(exporter_type=None), env=env) as app:
            app.ask("/sync")
        ((path, _, body),) = otlp.received
    assert path == "/v1/traces"
    assert b"of the environment" in body


def test_a_service_answers_and_ends_without_its_collector() -> None:
    settings = {"endpoint": "http://127.0.0.1:9"}
    with served(traced(exporter_type="otlp", otlp=settings, timeout=0.2)) as app:
        assert app.ask("/sync").status == 200


@pytest.mark.slow
def test_a_collector_that_is_not_there_does_not_hold_up_the_end() -> None:
    with served(traced(exporter_type="otlp", otlp={"endpoint": "http://127.0.0.1:9"})) as app:
        app.ask("/sync")
        begun = time.monotonic()
    assert time.monotonic() - begun < 25


@pytest.mark.parametrize(
    ("settings", "env", "expected"),
    [
        pytest.param({}, {}, None, id="nothing"),
        pytest.param({"exporter_type": "otlp"}, {}, "otlp", id="the service's own"),
        pytest.param({}, {"OTEL_TRACES_EXPORTER": "otlp"}, "otlp", id="the environment's"),
        pytest.param({}, {"OTEL_TRACES_EXPORTER": "none"}, None, id="none"),
        pytest.param({"exporter_type": "otlp"}, {"OTEL_SDK_DISABLED": "true"}, None, id="disabled"),
    ],
)
def test_which_exporter(settings: dict[str, Any], env: dict[str, str], expected: str | None) -> None:
    assert exporter_of(Tracing(**settings), env) == expected


@pytest.mark.parametrize(
    ("settings", "env", "message"),
    [
        pytest.param({"exporter_type": "jaeger"}, {}, "OTLP", id="jaeger"),
        pytest.param({"exporter_type": "zipkin"}, {}, "opentelemetry-exporter-zipkin-json", id="zipkin"),
        pytest.param(
            {"exporter_type": "otlp", "otlp": {"protocol": "grpc"}}, {}, "otlp-proto-grpc", id="grpc"
        ),
        pytest.param({"exporter_type": None}, {"OTEL_TRACES_EXPORTER": "smoke"}, "`smoke`", id="unknown"),
    ],
)
def test_an_exporter_that_is_not_there_says_what_to_do(
    settings: dict[str, Any], env: dict[str, str], message: str
) -> None:
    with pytest.raises(ExporterError, match=re.escape(message)):
        served(traced(**settings), env=env).__enter__()


PLAIN = """
import asyncio, sys
import bentoml
@bentoml.service
class Plain:
    @bentoml.api
    def x(self) -> str: return "x"
from starlette.testclient import TestClient
with TestClient(Plain.to_asgi()) as client:
    assert client.post("/x").text == "x"
print([m for m in sys.modules if m.startswith("opentelemetry")])
"""


def test_nothing_is_loaded_without_an_exporter() -> None:
    done = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []


THEIRS = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient
import bentoml
from bentoml.runtime.telemetry.tracing import finished_spans

theirs = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)

@bentoml.service(tracing={"exporter_type": "in_memory"})
class Traced:
    @bentoml.api
    def x(self) -> str:
        with trace.get_tracer("mine").start_as_current_span("inside"):
            return "x"

with TestClient(Traced.to_asgi()) as client:
    client.post("/x")
assert trace.get_tracer_provider() is provider
for spans in (finished_spans(), theirs.get_finished_spans()):
    print([span.name for span in spans])
with provider.get_tracer("mine").start_as_current_span("after"):
    pass
print([span.name for span in theirs.get_finished_spans()][-1])
"""


def test_a_provider_of_the_users_own_goes_on() -> None:
    done = subprocess.run([sys.executable, "-c", THEIRS], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['inside', 'POST /x']", "['inside', 'POST /x']", "after"]


def test_another_server_goes_on_with_the_innermost_span() -> None:
    @bentoml.service(tracing={"exporter_type": "in_memory"})
    class Caller:
        @bentoml.api
        def headers(self) -> dict[str, str]:
            with tracer.start_as_current_span("inside"):
                return trace_headers()

    with served(Caller) as app:
        headers = app.ask("/headers", {}, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}).json()
    (span,) = (span for span in finished_spans() if span.name == "inside")
    assert headers["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01"
