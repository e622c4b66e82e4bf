"""The model store of this process, as `bentoml.models`: create, get, list and delete models, and refer to others."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from .sdk.references import BentoModel, HuggingFaceModel
from .store import current
from .store.manifest import ModelContext
from .store.models import Model
from .tag import Tag

__all__ = ["BentoModel", "HuggingFaceModel", "Model", "ModelContext", "create", "delete", "get", "list"]


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
    """Return the model that a tag means: a version, the unique beginning of one, or `latest` (also without a version).

    Raises:
        NotFound: it means none.
    """
    return current.model_store().get(tag)


def list(tag: str | Tag | None = None) -> builtins.list[Model]:
    """Return all models, or those that a name or tag means, newest first.

    Raises:
        NotFound: there is none with the name.
    """
    return current.model_store().list(tag)


def delete(tag: str | Tag) -> Model:
    """Delete the model that a tag means and return what it was; a name alone must mean a single model.

    Raises:
        NotFound: it means none.
        BentoMLException: a bento of the store needs it; the message lists which.
    """
    store = current.model_store()
    found = store.resolve_single(tag)
    current.bento_store().check_unused(found)
    return store.delete(found)
