"""The monitor that sends its rows as logs of OpenTelemetry (OTLP over HTTP)."""

from __future__ import annotations

import json
import threading
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...exceptions import MissingDependencyException
from ..context import server_context
from .monitor import MonitorBase

try:
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
except ImportError as e:
    raise MissingDependencyException(
        "a monitor of type `otlp` needs OpenTelemetry; install it with `pip install 'bentoml[monitor-otlp]'`"
    ) from e

__all__ = ["OtlpMonitor"]

_PATIENCE = 3.0  # seconds: a collector that is not there must not hold up the end of the server


class OtlpMonitor(MonitorBase):
    """Send each row as a log record: its body is the row, the attribute ``monitor_name`` says of which monitor.

    What is not given is taken from the ``OTEL_EXPORTER_OTLP_*`` variables. Rows are sent in the background.
    """

    def __init__(
        self,
        name: str,
        *,
        root: Path,
        worker: int,
        endpoint: str | None = None,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
        compression: str | None = None,
        certificate_file: str | None = None,
        log_path: str | None = None,
        log_config_file: str | None = None,
    ) -> None:
        super().__init__(name)
        if endpoint is not None and urlsplit(endpoint).path in ("", "/"):
            endpoint = endpoint.rstrip("/") + "/v1/logs"
        exporter = OTLPLogExporter(
            endpoint=endpoint,
            headers=headers,
            timeout=timeout,
            compression=None if compression is None else Compression(compression),
            certificate_file=certificate_file,
        )
        resource = Resource.create(
            {
                "service.name": server_context.service_name or server_context.bento_name,
                "service.version": server_context.bento_version,
                "service.instance.id": str(worker),
            }
        )
        self._provider = LoggerProvider(resource, shutdown_on_exit=False)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        self._logger = self._provider.get_logger("bentoml.monitor")
        self._attributes = {"monitor_name": name, "bento_name": server_context.bento_name}
        self._attributes["bento_version"] = server_context.bento_version

    def export_schema(self, columns_schema: dict[str, dict[str, str]]) -> None:
        """Send the columns."""
        self._send(json.dumps({"columns": list(columns_schema.values())}), "schema")

    def export_data(self, datas: dict[str, deque[Any]]) -> None:
        """Send each row."""
        for row in zip(*datas.values(), strict=True):
            self._send(json.dumps(dict(zip(datas, row, strict=True)), default=_plain), "data")

    def close(self) -> None:
        """Send what is left; what cannot be sent within some seconds is lost."""
        thread = threading.Thread(target=self._provider.shutdown, name="bentoml-last-rows", daemon=True)
        thread.start()
        thread.join(_PATIENCE)

    def _send(self, body: str, kind: str) -> None:
        self._logger.emit(
            body=body,
            severity_number=SeverityNumber.INFO,
            attributes={**self._attributes, "monitor_record": kind},
        )


def _plain(value: Any) -> Any:
    to_list = getattr(value, "tolist", None)
    return str(value) if to_list is None else to_list()
