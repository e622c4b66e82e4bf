"""The model store."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from ..config import Home
from ..exceptions import BentoMLException, NotFound
from ..tag import Tag
from . import custom_objects as pickles
from .aliases import MARK, parse_taglike
from .base import ItemStore
from .items import Item
from .manifest import BentoInfo, ModelContext, ModelInfo
from .metadata import plain_labels, plain_metadata
from .search import has_labels, has_metadata
from .shelf import Shelf
from .signatures import plain_signatures
from .trust import Trust

__all__ = ["Model", "ModelStore"]

_WRITTEN = ("context", "signatures", "api_version", "creation_time")  # what every manifest says


class Model(Item[ModelInfo]):
    """A model of the store: files in the folder `path`, and what `info` says about them."""

    def __init__(self, folder: Path, info: ModelInfo, objects: Mapping[str, Any] | None = None) -> None:
        super().__init__(folder, info)
        self.alias: str | None = None  # by which it was asked for
        self._objects = None if objects is None else dict(objects)

    @property
    def custom_objects(self) -> dict[str, Any]:
        """The Python objects that were stored with the model; they are unpickled when first asked for.

        Raises:
            BentoMLException: the model came from elsewhere, and nobody said that it is trusted.
        """
        if self._objects is None:
            self.check_trusted()
            self._objects = pickles.load(self._folder)
        return self._objects

    def check_trusted(self) -> None:
        """Make sure that the Python objects of the model, if there are any, may be unpickled.

        Raises:
            BentoMLException: it came from elsewhere, and nobody said that it is trusted.
        """
        if (self._folder / pickles.FILE).exists():
            Trust(Home(self._folder.parents[2])).check(self.tag, self.digest)


class ModelStore(ItemStore[ModelInfo]):
    """The models under ``home``; ``pins`` say which model a tag or alias means here, whatever is stored later."""

    def __init__(self, home: Home, pins: Mapping[str, Tag] | None = None) -> None:
        super().__init__(Shelf(home, ModelInfo, home.models))
        self._trust = Trust(home)
        self._pins = dict(pins or {})

    @contextmanager
    def create(
        self,
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
    ) -> Iterator[Model]:
        """Make a model: write its files into `path` of the yielded model; it is stored when the block ends.

        Without a version in ``name``, the version follows from content and declaration: saving the same again returns
        the same tag and takes no room. During the block `tag` has no version yet and `path` is a temporary folder;
        afterwards both are final. An error in the block leaves nothing.

        Raises:
            ValueError: labels, metadata, options, signatures or custom objects are not of the kinds described.
            BentoMLException: the given version exists with other content; or the files cannot be stored.
        """
        if not isinstance(custom_objects, Mapping | None):
            raise ValueError(f"custom_objects must be a dict, not `{type(custom_objects).__name__}`")
        info = ModelInfo(
            tag=Tag.from_taglike(name),
            module=module,
            api_version=api_version,
            labels=plain_labels(labels),
            metadata=plain_metadata(metadata),
            options=plain_metadata(options, "options"),
            signatures=plain_signatures(signatures),
            context=context or ModelContext(),
        )
        with self._shelf.staged(info.tag) as draft:
            model = Model(draft, info, custom_objects or {})
            yield model
            if custom_objects:
                pickles.dump(custom_objects, draft, external_modules=external_modules or ())
            _drop_copied_manifest(draft)
            model._settle(*self._shelf.commit(draft, _finished(model.info)))
            self._trust.trust(model.digest)  # if the same came from elsewhere before

    def get(self, tag: str | Tag) -> Model:
        """Return the model that a tag means: a version, the unique beginning of one, `latest`, or an alias or pin.

        Raises:
            NotFound: it means none.
            BentoMLException: it means several, or the model is damaged.
        """
        pinned = self._pins.get(str(tag))  # before it is parsed: an alias need not look like a tag
        if pinned is None:
            pinned = self._pins.get(str(parse_taglike(tag)))
        model = Model(*self._shelf.get(pinned or tag))
        model.alias = str(tag) if MARK in str(tag) else None
        return model

    def needed_by(self, bento: BentoInfo) -> builtins.list[Model]:
        """Return the models of the store that a bento needs, by tag, each once, and each the one that it was built with.

        Raises:
            NotFound: one is not in the store.
            BentoMLException: one is damaged, or another one has its tag.
        """
        found = {}
        for ref in bento.all_models:
            try:
                model = self.get(ref.tag)
            except NotFound as e:
                raise NotFound(f"bento `{bento.tag}` needs model `{ref.tag}`: {e}") from e
            ref.check(model.digest, bento.tag)
            found[model.tag] = model
        return [found[tag] for tag in sorted(found)]

    def list(
        self,
        tag: str | Tag | None = None,
        *,
        labels: Mapping[str, str | None] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> builtins.list[Model]:
        """Return all models, or those that a name or tag means, newest first; a damaged one is logged and left out.

        Those that have all of ``labels`` and ``metadata``, if these are given; None stands for any value.

        Raises:
            NotFound: there is none with the name.
        """
        found = self._shelf.list(tag)
        return [
            Model(folder, info)
            for folder, info in found
            if has_labels(info.labels, labels or {}) and has_metadata(info.metadata, metadata or {})
        ]

    def delete(
        self, tag: str | Tag, *, force: bool = False, check: Callable[[Tag], None] = lambda _: None
    ) -> Model:
        """Delete the model that a tag means and return what it was; a name alone must mean a single model.

        ``force`` removes the aliases that name it, too. Whether a bento needs it is asked by ``check``, which may be
        `BentoStore.check_unused`; nobody can save meanwhile.
        """
        return Model(*self._shelf.delete(tag, force=force, check=check))


def _drop_copied_manifest(draft: Path) -> None:
    """Remove the manifest of another model whose folder was copied into this one; a file of the user's own is none."""
    with suppress(BentoMLException, ValueError, OSError, RecursionError):
        text = (draft / ModelInfo.FILE).read_text("utf-8")
        ModelInfo.from_yaml(text)
        if all(f"\n{key}:" in text for key in _WRITTEN):
            (draft / ModelInfo.FILE).unlink()


def _finished(info: ModelInfo) -> ModelInfo:
    """Return what the block left in ``info``, checked again, with the time at which it ended."""
    return replace(
        info,
        labels=plain_labels(info.labels),
        metadata=plain_metadata(info.metadata),
        creation_time=datetime.now(UTC),
    )
