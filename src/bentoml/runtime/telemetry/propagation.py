"""Propagation: what other servers are told of the trace that a request belongs to."""

from __future__ import annotations

import sys

from ...sdk.context import request_ids

__all__ = ["trace_headers"]


def trace_headers() -> dict[str, str]:
    """Return the headers by which another server goes on with the trace of the request that is being answered.

    They name the innermost span where there are spans of OpenTelemetry, else the request itself.
    """
    headers: dict[str, str] = {}
    if "opentelemetry.sdk.trace" in sys.modules:  # otherwise nothing can have begun a span
        from opentelemetry import propagate

        propagate.inject(headers)
    ids = request_ids.get(None)
    return headers if ids is None else {"traceparent": ids.traceparent(), **headers}
