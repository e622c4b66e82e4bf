"""The bento store of this process, as `bentoml.bentos`: build, get, list, delete, push, pull, serve and containerize bentos."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from .store import current
from .store.bentos import Bento
from .store.damage import Damage
from .tag import Tag

if TYPE_CHECKING:
    from .builder.api import build as build
    from .builder.api import build_bentofile as build_bentofile
    from .builder.image.api import containerize_bento as containerize
    from .registry.remote import pull_bento as pull
    from .registry.remote import push_bento as push
    from .runtime.process.background import serve as serve
    from .store.archives.api import export_bento as export_bento
    from .store.archives.api import import_bento as import_bento

__all__ = [
    "Bento",
    "build",
    "build_bentofile",
    "containerize",
    "delete",
    "export_bento",
    "get",
    "import_bento",
    "list",
    "pull",
    "push",
    "serve",
    "verify",
]

_LATE = {  # loaded on first use, so that listing does not pay for the builder and the registries
    "build": (".builder.api", "build"),
    "build_bentofile": (".builder.api", "build_bentofile"),
    "containerize": (".builder.image.api", "containerize_bento"),
    "serve": (".runtime.process.background", "serve"),
    "pull": (".registry.remote", "pull_bento"),
    "push": (".registry.remote", "push_bento"),
    "export_bento": (".store.archives.api", "export_bento"),
    "import_bento": (".store.archives.api", "import_bento"),
}


def get(tag: str | Tag) -> Bento:
    """Return the bento that a tag means: a version, the unique beginning of one, `latest` (also without a version), or an alias.

    Raises:
        NotFound: it means none.
        BentoMLException: the bento is damaged; the message names each file.
    """
    return current.bento_store().get(tag)


def list(
    tag: str | Tag | None = None, *, labels: Mapping[str, str | None] | None = None
) -> builtins.list[Bento]:
    """Return all bentos, or those that a name or tag means, newest first.

    Those that have all of ``labels``, if these are given; None stands for any value.

    Raises:
        NotFound: there is none with the name.
    """
    return current.bento_store().list(tag, labels=labels)


def delete(tag: str | Tag, *, force: bool = False) -> Bento:
    """Delete the bento that a tag means and return what it was; a name alone must mean a single bento.

    Raises:
        NotFound: it means none.
        BentoMLException: an alias names it (which ``force`` removes, too); the message lists which.
    """
    return current.bento_store().delete(tag, force=force)


def verify(tag: str | Tag | None = None) -> builtins.list[Damage]:
    """Read all files of a bento, of those with a name, or of all, and return what is wrong with them: nothing, if all is well.

    Raises:
        NotFound: the tag means none.
    """
    return current.bento_store().verify(tag)


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, function = _LATE[name]
    return getattr(import_module(module, __package__), function)


def __dir__() -> object:
    return sorted({*globals(), *_LATE})
