"""The stores that this process means when none is named: the one piece of state that it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..config import Home, environment
from ..tag import Tag
from .bentos import BentoStore
from .models import ModelStore

__all__ = ["bento_store", "home", "model_store", "use"]


@dataclass
class _Current:
    home: Home | None = None
    pins: Mapping[str, Tag] = field(default_factory=dict)


_current = _Current()


def model_store() -> ModelStore:
    """Return the model store in use, by default the one that ``BENTOML_HOME`` names."""
    return ModelStore(home(), _current.pins)


def bento_store() -> BentoStore:
    """Return the bento store in use, by default the one that ``BENTOML_HOME`` names."""
    return BentoStore(home())


def use(place: Home, pins: Mapping[str, Tag] | None = None) -> None:
    """Let this process use another store; ``pins`` say which model each tag or alias means from now on.

    A served bento pins the names, aliases and `latest` of its models, so that it never sees a newer one.
    """
    _current.home, _current.pins = place, dict(pins or {})


def home() -> Home:
    """Return the place of the stores in use, by default the one that ``BENTOML_HOME`` names."""
    return _current.home or Home.from_environment(environment())
