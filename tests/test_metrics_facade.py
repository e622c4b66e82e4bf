"""`bentoml.metrics`, which is `prometheus_client` under an older name."""

from __future__ import annotations

import prometheus_client
import pytest

import bentoml


@pytest.mark.parametrize("name", ["Counter", "Gauge", "Histogram", "Summary"])
def test_it_is_prometheus_client_and_says_so(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"prometheus_client\.{name}"):
        found = getattr(bentoml.metrics, name)
    assert found is getattr(prometheus_client, name)


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no_such_metric"):
        bentoml.metrics.no_such_metric  # noqa: B018
