"""The bento store of this process, as `bentoml.bentos`: build, get, list and delete bentos."""

from __future__ import annotations

import builtins
from importlib import import_module
from typing import TYPE_CHECKING

from .store import current
from .store.bentos import Bento
from .tag import Tag

if TYPE_CHECKING:
    from .builder.api import build as build
    from .builder.api import build_bentofile as build_bentofile

__all__ = ["Bento", "build", "build_bentofile", "delete", "get", "list"]

_BUILDING = ("build", "build_bentofile")  # loaded on first use, so that listing does not pay for the builder


def get(tag: str | Tag) -> Bento:
    """Return the bento that a tag means: a version, the unique beginning of one, or `latest` (also without a version).

    Raises:
        NotFound: it means none.
    """
    return current.bento_store().get(tag)


def list(tag: str | Tag | None = None) -> builtins.list[Bento]:
    """Return all bentos, or those that a name or tag means, newest first.

    Raises:
        NotFound: there is none with the name.
    """
    return current.bento_store().list(tag)


def delete(tag: str | Tag) -> Bento:
    """Delete the bento that a tag means and return what it was; a name alone must mean a single bento.

    Raises:
        NotFound: it means none.
    """
    return current.bento_store().delete(tag)


def __getattr__(name: str) -> object:
    if name not in _BUILDING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".builder.api", __package__), name)


def __dir__() -> object:
    return sorted({*globals(), *_BUILDING})
