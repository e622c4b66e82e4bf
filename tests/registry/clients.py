"""A client of a registry that does not really wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from bentoml.registry.client import Registry
from bentoml.registry.pace import USUAL, Pace
from bentoml.registry.reference import Reference
from bentoml.registry.transport import Transport


@contextmanager
def client_of(
    name: str, pauses: list[float], *, reads: Sequence[str] = (), pace: Pace = USUAL
) -> Iterator[Registry]:
    """Give a client of the repository of ``name``; the seconds that it would have waited go to ``pauses``."""
    with closing(Transport(pause=pauses.append, pace=pace)) as transport:
        yield Registry(Reference.parse(name), env={}, transport=transport, reads=reads)
