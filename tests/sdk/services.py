"""What the tests of services share."""

from __future__ import annotations

from typing import Any

import bentoml


def of(decorated: object) -> bentoml.Service[Any]:
    """Return the service that a decorated class is; type checkers do not see what class decorators return."""
    assert isinstance(decorated, bentoml.Service)
    return decorated
