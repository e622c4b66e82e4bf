"""The models on Hugging Face that a service uses, each pinned to the commit that its revision is at the build."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...sdk.references import HuggingFaceModel
from ...store.manifest import ModelRef
from ..described.describe import Description
from ..packages.lock import LockMode, lock_models

__all__ = ["hub_models", "tell_missing_library"]

logger = logging.getLogger(__name__)

_LIBRARY = re.compile(r"^huggingface[-_]hub\b", re.MULTILINE | re.IGNORECASE)


def hub_models(
    description: Description, file: Path, mode: LockMode, *, offline: bool = False
) -> Mapping[str, Sequence[ModelRef]]:
    """Return what a bento says of the models of each of its services, by the service's name.

    The commits are those of the lock file ``file``; what it does not know yet, the hub says, and it is kept there.

    Raises:
        NotFound: there is no such model or revision, or it may not be read.
        BentoMLException: the hub cannot be reached, or in mode ``locked`` the lock would change.
    """
    declared = {
        service: [HuggingFaceModel(**model) for model in models]
        for service, models in description.hub_models.items()
    }
    by_name = {_name(model): model for models in declared.values() for model in models}
    if not by_name:
        return {}
    commits = lock_models(
        list(by_name), file, lambda name: by_name[name].current_commit(offline=offline), mode
    )
    return {
        service: _refs(model.at(commits[_name(model)]) for model in models)
        for service, models in declared.items()
    }


def tell_missing_library(hub: Mapping[str, Sequence[ModelRef]], pins: str) -> None:
    """Warn that nothing will be there to fetch a model with, where all that is installed is known."""
    if hub and "--hash=" in pins and not _LIBRARY.search(pins):
        logger.warning(
            "the service uses models of Hugging Face, but no requirement brings `huggingface_hub`; add it to `python.packages`"
        )


def _refs(models: Iterable[HuggingFaceModel]) -> list[ModelRef]:
    refs = {(str(ref.tag), ref.requested): ref for ref in (model.to_info() for model in models)}
    return [refs[key] for key in sorted(refs)]


def _name(model: HuggingFaceModel) -> str:
    return f"{model.model_id}@{model.revision}"
