"""What the tests of registries share: a registry in the process, and a client of it that does not really wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.registry.clients import client_of
from tests.registry.fake_registry import FakeRegistry, running

from bentoml.registry.client import Registry


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running(FakeRegistry()) as fake:
        yield fake


@pytest.fixture
def pauses() -> list[float]:
    """The seconds that the client would have waited."""
    return []


@pytest.fixture
def client(registry: FakeRegistry, pauses: list[float]) -> Iterator[Registry]:
    with client_of(f"{registry.host}/team/x:1", pauses) as client:
        yield client
