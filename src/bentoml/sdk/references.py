"""References to models: class attributes that become the model, or its folder, once an instance asks for them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from ..config import environment
from ..store import current
from ..store.aliases import parse_taglike
from ..store.manifest import HUGGING_FACE, ModelRef
from ..store.models import Model
from ..tag import Tag
from . import hub

__all__ = ["BentoModel", "HuggingFaceModel"]


@dataclass(frozen=True, init=False)
class BentoModel:
    """Name a model of the store: ``model = BentoModel("iris:latest")`` gives it as ``self.model``.

    Unlike ``bentoml.models.get``, it is looked for only when it is used, or when the service is built or served. An alias,
    as in ``iris@prod``, stays the text that it is.
    """

    tag: Tag | str

    def __init__(self, tag: str | Tag) -> None:
        object.__setattr__(self, "tag", parse_taglike(tag))  # frozen, like what it names

    @overload
    def __get__(self, instance: None, owner: type) -> BentoModel: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Model: ...
    def __get__(self, instance: object | None, owner: type) -> BentoModel | Model:
        return self if instance is None else self.stored

    @cached_property
    def stored(self) -> Model:
        """The model in the store.

        Raises:
            NotFound: the tag means none.
        """
        return current.model_store().get(self.tag)

    def resolve(self) -> Model:
        """Return the model in the store."""
        return self.stored

    def to_info(self, alias: str | None = None) -> ModelRef:
        """Return what a bento says of the model."""
        return ModelRef.of(self.stored.info, alias=alias or self.stored.alias)


@dataclass(frozen=True, init=False)
class HuggingFaceModel:
    """Name a model on Hugging Face: ``path = HuggingFaceModel("org/name")`` gives its local folder as ``self.path``.

    ``include`` and ``exclude`` are patterns of file names. ``BENTOML_HF_CACHE_DIR`` says where downloads are kept,
    ``HF_ENDPOINT`` where they come from. A bento serves the commit that the revision was when it was built.
    """

    model_id: str
    revision: str
    endpoint: str | None
    include: list[str] | None
    exclude: list[str] | None

    def __init__(
        self,
        model_id: str,
        revision: str = "main",
        endpoint: str | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
    ) -> None:
        endpoint = endpoint or environment().get("HF_ENDPOINT") or None
        given = {
            "model_id": model_id,
            "revision": revision,
            "endpoint": endpoint,
            "include": None if include is None else list(include),
            "exclude": None if exclude is None else list(exclude),
        }
        vars(self).update(given)  # frozen, like what it names

    def __repr__(self) -> str:
        return f"HuggingFaceModel({self.model_id!r}, revision={self.revision!r})"

    def __hash__(self) -> int:
        return hash((self.model_id, self.revision, self.endpoint))

    @overload
    def __get__(self, instance: None, owner: type) -> HuggingFaceModel: ...
    @overload
    def __get__(self, instance: object, owner: type) -> str: ...
    def __get__(self, instance: object | None, owner: type) -> HuggingFaceModel | str:
        return self if instance is None else self.path

    @cached_property
    def commit_hash(self) -> str:
        """The commit that the model is: in a bento that of the build, else what the revision is on the hub now.

        Raises:
            NotFound: there is no such model or revision, or it may not be read.
            BentoMLException: the hub cannot be reached, and no earlier download says it.
            MissingDependencyException: `huggingface_hub` is not installed.
        """
        revision = self._pinned_revision()
        return revision if hub.is_commit(revision) else hub.commit_of(self._snapshot(revision))

    @cached_property
    def path(self) -> str:
        """The local folder of the model; what is missing there is downloaded first.

        Raises:
            NotFound: there is no such model or revision, or it may not be read.
            BentoMLException: the hub cannot be reached, and the files are not here.
            MissingDependencyException: `huggingface_hub` is not installed.
        """
        return self.resolve()

    def resolve(self, base_path: str | os.PathLike[str] | None = None, *, offline: bool = False) -> str:
        """Return the local folder of the model, in the cache ``base_path`` if it is given."""
        return str(self._fetch(base_path, offline=offline)[1])

    def files(self, *, offline: bool = False) -> dict[str, Path]:
        """Return the files by their paths in a cache of Hugging Face's library; what is missing here is downloaded."""
        return hub.files_of(*self._fetch(offline=offline))

    def declared(self) -> dict[str, Any]:
        """Return the arguments that make it again."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def at(self, commit: str) -> HuggingFaceModel:
        """Return the same model with its commit known: the hub is not asked for it."""
        pinned = HuggingFaceModel(**self.declared())
        vars(pinned)["commit_hash"] = commit
        return pinned

    def current_commit(self, *, offline: bool = False) -> str:
        """Return the commit that the revision is on the hub now; with ``offline`` that of the last download."""
        if hub.is_commit(self.revision):
            return self.revision
        return hub.commit_of(self._snapshot(self.revision), offline=offline)

    def to_info(self, alias: str | None = None) -> ModelRef:
        """Return what a bento says of the model; its tag is the one that BentoML gives it."""
        files = {"include": self.include, "exclude": self.exclude}
        what = {"revision": self.commit_hash, "endpoint": self.endpoint, **files}
        # all in lower case, also the name, which in the metadata stays as it is written: a cache folder is called like it
        named = {"model_id": self.model_id.lower(), **what}
        text = json.dumps(named, sort_keys=True, separators=(",", ":"))
        version = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        return ModelRef(
            tag=Tag(self.model_id.lower().replace("/", "--"), version),
            creation_time=datetime.now(UTC),
            alias=alias,
            registry=HUGGING_FACE,
            requested="" if hub.is_commit(self.revision) else self.revision,
            metadata={"model_id": self.model_id, **what},
        )

    @classmethod
    def from_info(cls, ref: ModelRef) -> HuggingFaceModel:
        """Return the model that a bento says it was built with; it is fetched from where this process is told, else from there."""
        data = ref.metadata
        endpoint = environment().get("HF_ENDPOINT") or data.get("endpoint")
        return cls(data["model_id"], data["revision"], endpoint, data.get("include"), data.get("exclude"))

    def _pinned_revision(self) -> str:
        pinned = hub.find_pin(self.model_id, self.revision, self.include, self.exclude)
        return self.revision if pinned is None else str(pinned["revision"])

    def _fetch(
        self, base_path: str | os.PathLike[str] | None = None, *, offline: bool = False
    ) -> tuple[hub.Snapshot, Path]:
        """Return what is asked for and its folder, which is called like the commit.

        A branch is asked for by its name, as the library keeps in mind then which commit it was.
        """
        wanted = self._snapshot(vars(self).get("commit_hash") or self._pinned_revision(), base_path)
        folder = hub.fetch(wanted, offline=offline)
        if hub.is_commit(folder.name):
            vars(self).setdefault("commit_hash", folder.name)
        return wanted, folder

    def _snapshot(self, revision: str, base_path: str | os.PathLike[str] | None = None) -> hub.Snapshot:
        env = environment()
        cache = env.get("BENTOML_HF_CACHE_DIR") if base_path is None else os.fspath(base_path)
        pinned = hub.find_pin(self.model_id, self.revision, self.include, self.exclude) or {}
        return hub.Snapshot(
            self.model_id,
            revision,
            self.endpoint or pinned.get("endpoint"),
            None if self.include is None else tuple(self.include),
            None if self.exclude is None else tuple(self.exclude),
            cache or None,
        )
