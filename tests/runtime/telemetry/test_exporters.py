"""Exporters of spans: what the settings make of them."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression

from bentoml.runtime.telemetry.exporters import exporter_for, otlp_options
from bentoml.runtime.telemetry.tracing import ExporterError
from bentoml.sdk.configuration.sections import Tracing
from bentoml.sdk.configuration.settings import ServiceSettings


def tracing(**settings: Any) -> Tracing:
    return ServiceSettings.build("Traced", {"tracing": settings}).tracing


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        pytest.param({}, {}, id="nothing: its own variables"),
        pytest.param(
            {"otlp": {"endpoint": "http://h:4318"}}, {"endpoint": "http://h:4318/v1/traces"}, id="no path"
        ),
        pytest.param(
            {"otlp": {"endpoint": "http://h:4318/"}}, {"endpoint": "http://h:4318/v1/traces"}, id="slash"
        ),
        pytest.param({"otlp": {"endpoint": "http://h/mine"}}, {"endpoint": "http://h/mine"}, id="a path"),
        pytest.param({"timeout": 3}, {"timeout": 3}, id="timeout"),
        pytest.param(
            {"otlp": {"compression": "gzip", "http": {"headers": {"X-Key": 1}, "certificate_file": "c.pem"}}},
            {"compression": Compression.Gzip, "headers": {"x-key": "1"}, "certificate_file": "c.pem"},
            id="http",
        ),
    ],
)
def test_otlp_over_http(settings: dict[str, Any], options: dict[str, Any]) -> None:
    made = tracing(**settings)
    assert otlp_options(made.otlp, made.timeout, path="/v1/traces") == options


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ExporterError, match="opentelemetry-exporter-otlp-proto-grpc"):
        exporter_for("otlp", tracing(otlp={"protocol": "grpc"}))


def test_the_protocol_may_be_named_as_opentelemetry_does() -> None:
    assert tracing(otlp={"protocol": "http/protobuf"}).otlp.protocol == "http"
