"""The bento store."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..config import Home
from ..exceptions import BentoMLException
from ..tag import Tag
from .base import ItemStore
from .items import Item
from .manifest import BentoInfo
from .scan import folder_size
from .search import has_labels
from .shelf import Shelf

__all__ = ["Bento", "BentoDraft", "BentoStore"]


class Bento(Item[BentoInfo]):
    """A bento of the store: files in the folder `path`, and what `info` says about them."""

    @property
    def entry_service(self) -> str:
        """The name of the service that answers from outside."""
        return self.info.entry_service

    @property
    def doc(self) -> str:
        """The text of its README.md; empty if there is none."""
        try:
            return (self._folder / "README.md").read_text("utf-8")
        except FileNotFoundError:
            return ""

    def total_size(self) -> int:
        """Return the bytes of its files and of the models that it needs, as far as they are in its store."""
        return self.file_size + _models_size(self._folder.parents[2] / "models", self)


class BentoDraft:
    """A bento in the making: put its files into `path` and set `info`; `saved` is the bento after the block."""

    info: BentoInfo
    saved: Bento

    def __init__(self, path: Path) -> None:
        self.path = path


class BentoStore(ItemStore[BentoInfo]):
    """The bentos under ``home``."""

    def __init__(self, home: Home) -> None:
        super().__init__(Shelf(home, BentoInfo, home.bentos))
        self._models = home.models

    @contextmanager
    def create(
        self, name: str, *, version: str | None = None, check: Callable[[BentoInfo], object] = lambda _: None
    ) -> Iterator[BentoDraft]:
        """Make a bento, as `ModelStore.create` makes a model; name and version of the draft's `info` are ignored.

        Whether its models are there is asked by ``check``, which may be `ModelStore.needed_by`; nobody can delete meanwhile.
        """
        tag = Tag(name, version)
        with self._shelf.staged(tag) as folder:
            draft = BentoDraft(folder)
            yield draft
            info = replace(draft.info, tag=tag)
            draft.saved = Bento(*self._shelf.commit(folder, info, lambda: check(info)))

    def get(self, tag: str | Tag) -> Bento:
        """Return the bento that a tag means: a version, the unique beginning of one, or `latest`.

        Raises:
            NotFound: it means none.
            BentoMLException: it means several, or the bento is damaged.
        """
        return Bento(*self._shelf.get(tag))

    def list(
        self, tag: str | Tag | None = None, *, labels: Mapping[str, str | None] | None = None
    ) -> builtins.list[Bento]:
        """Return all bentos, or those that a name or tag means, newest first; a damaged one is logged and left out.

        Those that have all of ``labels``, if these are given; None stands for any value.

        Raises:
            NotFound: there is none with the name.
        """
        found = self._shelf.list(tag)
        return [Bento(folder, info) for folder, info in found if has_labels(info.labels, labels or {})]

    def delete(self, tag: str | Tag, *, force: bool = False) -> Bento:
        """Delete the bento that a tag means and return what it was; a name alone must mean a single bento.

        ``force`` removes the aliases that name it, too.
        """
        return Bento(*self._shelf.delete(tag, force=force))

    def users_of(self, model: Tag) -> builtins.list[Bento]:
        """Return the bentos that need a model."""
        return [bento for bento in self.list() if any(ref.tag == model for ref in bento.info.all_models)]

    def check_unused(self, model: Tag) -> None:
        """Make sure that no bento needs a model.

        Raises:
            BentoMLException: some do; the message lists them.
        """
        if users := self.users_of(model):
            bentos = "\n".join(f"  {bento.tag}" for bento in users)
            raise BentoMLException(
                f"Model {model} is being used by the following bentos and can't be deleted:\n{bentos}\n"
                "delete them first, with `bentoml delete`"
            )

    def models_size(self, bento: Bento) -> int:
        """Return the bytes of the models that a bento needs, as far as they are in the store."""
        return _models_size(self._models, bento)


def _models_size(models: Path, bento: Bento) -> int:
    folders = {models / ref.tag.path() for ref in bento.info.all_models}
    return sum(folder_size(folder) for folder in folders if folder.is_dir())
