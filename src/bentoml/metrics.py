"""The metrics of `prometheus_client` under the name that BentoML 1.0 gave them; it goes away in 2.0.

Use ``prometheus_client`` itself: what your code counts with it is on the page at ``/metrics``, for all workers.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter as Counter
    from prometheus_client import Gauge as Gauge
    from prometheus_client import Histogram as Histogram
    from prometheus_client import Summary as Summary

__all__ = ["Counter", "Gauge", "Histogram", "Summary"]


def __getattr__(name: str) -> object:
    library = import_module("prometheus_client")
    if name.startswith("_") or not hasattr(library, name):
        raise AttributeError(f"module 'bentoml.metrics' has no attribute {name!r}")
    message = f"use `prometheus_client.{name}` for `bentoml.metrics.{name}`"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return getattr(library, name)
