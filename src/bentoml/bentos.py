"""The bento store of this process, as `bentoml.bentos`: get, list and delete bentos."""

from __future__ import annotations

import builtins

from .store import current
from .store.bentos import Bento
from .tag import Tag

__all__ = ["Bento", "delete", "get", "list"]


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
