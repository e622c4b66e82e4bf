"""What the tests of bases share: a registry that has ``team/app:1``, and a client of it that does not really wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builder.oci.images import APP
from tests.registry.clients import client_of
from tests.registry.fake_registry import FakeRegistry, running

from bentoml.registry.client import Registry


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running(FakeRegistry()) as fake:
        fake.add("team/app", "1", APP)
        yield fake


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def pauses() -> list[float]:
    """The seconds that the client would have waited."""
    return []


@pytest.fixture
def client(registry: FakeRegistry, pauses: list[float]) -> Iterator[Registry]:
    with client_of(f"{registry.host}/team/app:1", pauses) as client:
        yield client
