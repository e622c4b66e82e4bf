"""The model store of this process, as `bentoml.models`: create, get, list, delete, push and pull models, and refer to others."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .sdk.references import BentoModel, HuggingFaceModel
from .store import current
from .store.damage import Damage
from .store.manifest import ModelContext
from .store.models import Model
from .tag import Tag

if TYPE_CHECKING:
    from .registry.remote import pull_model as pull
    from .registry.remote import push_model as push
    from .store.archives.api import export_model as export_model
    from .store.archives.api import import_model as import_model
    from .store.archives.api import trust_model as trust

__all__ = [
    "BentoModel",
    "HuggingFaceModel",
    "Model",
    "ModelContext",
    "create",
    "delete",
    "export_model",
    "get",
    "import_model",
    "list",
    "pull",
    "push",
    "trust",
    "verify",
]

_LATE = {  # loaded on first use, so that listing does not pay for registries and archives
    "pull": (".registry.remote", "pull_model"),
    "push": (".registry.remote", "push_model"),
    "export_model": (".store.archives.api", "export_model"),
    "import_model": (".store.archives.api", "import_model"),
    "trust": (".store.archives.api", "trust_model"),
}


def create(
    name: str | Tag,
    *,
    module: str = "",
    api_version: str = "v1",
    labels: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    signatures: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    external_modules: Sequence[ModuleType] | None = None,
    context: ModelContext | None = None,
) -> AbstractContextManager[Model]:
    """Make a model: write its files into `path` of the yielded model; it is stored when the block ends.

    The version follows from content and declaration, unless ``name`` gives one; see `ModelStore.create`.
    """
    return current.model_store().create(
        name,
        module=module,
        api_version=api_version,
        labels=labels,
        metadata=metadata,
        options=options,
        signatures=signatures,
        custom_objects=custom_objects,
        external_modules=external_modules,
        context=context,
    )


def get(tag: str | Tag) -> Model:
    """Return the model that a tag means: a version, the unique beginning of one, `latest` (also without a version), or an alias.

    Raises:
        NotFound: it means none.
        BentoMLException: the model is damaged; the message names each file.
    """
    return current.model_store().get(tag)


def list(
    tag: str | Tag | None = None,
    *,
    labels: Mapping[str, str | None] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> builtins.list[Model]:
    """Return all models, or those that a name or tag means, newest first.

    Those that have all of ``labels`` and ``metadata``, if these are given; None stands for any value.

    Raises:
        NotFound: there is none with the name.
    """
    return current.model_store().list(tag, labels=labels, metadata=metadata)


def delete(tag: str | Tag, *, force: bool = False) -> Model:
    """Delete the model that a tag means and return what it was; a name alone must mean a single model.

    Raises:
        NotFound: it means none.
        BentoMLException: a bento of the store needs it, or an alias names it (which ``force`` removes, too); the message
            lists which.
    """
    return current.model_store().delete(tag, force=force, check=current.bento_store().check_unused)


def verify(tag: str | Tag | None = None) -> builtins.list[Damage]:
    """Read all files of a model, of those with a name, or of all, and return what is wrong with them: nothing, if all is well.

    Raises:
        NotFound: the tag means none.
    """
    return current.model_store().verify(tag)


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, function = _LATE[name]
    return getattr(import_module(module, __package__), function)


def __dir__() -> object:
    return sorted({*globals(), *_LATE})
