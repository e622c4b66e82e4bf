"""Item: what a model and a bento have in common once they are stored."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..exceptions import BentoMLException, NotFound
from ..paths import name_problem, under
from ..tag import Tag
from .damage import Damage, Reading, find_damage, said
from .digest import Digest
from .inodes import generation
from .manifest import Manifest
from .scan import folder_size, scan
from .tree import Tree

__all__ = ["InfoT", "Item", "reading"]

InfoT = TypeVar("InfoT", bound=Manifest)


class Item(Generic[InfoT]):
    """An item of a store; two are equal if their tags are."""

    def __init__(self, folder: Path, info: InfoT) -> None:
        self._folder = folder
        self.info = info

    @property
    def tag(self) -> Tag:
        """The name and version."""
        return self.info.tag

    @property
    def path(self) -> str:
        """The folder that holds the files, which must not be changed."""
        return str(self._folder)

    @property
    def creation_time(self) -> datetime:
        """When it was made first."""
        return self.info.creation_time

    @property
    def file_size(self) -> int:
        """The bytes of all files."""
        return folder_size(self._folder)

    @cached_property
    def digest(self) -> Digest:
        """The digest of what it is; computed for an item of BentoML 1.x, which holds none."""
        return self.info.digest or self.info.identity(self.tree)

    @cached_property
    def tree(self) -> Tree:
        """The files; hashed now for an item of BentoML 1.x, whose manifest does not list them."""
        return self.info.files if self.info.digest else scan(self._folder, skip=self.info.FILE)

    def check(self, *, thoroughly: bool = False, modes: bool = False) -> None:
        """Make sure that the files are what was stored; those that were perhaps written to since are read, or all.

        With ``modes``, that the same of them can be executed, too, which all that is thorough looks at (see `find_damage`).

        Raises:
            NotFound: it was deleted.
            BentoMLException: some are not; the message names them.
        """
        try:
            found = self.damage() if thoroughly else find_damage(self._folder, self.info, modes=modes)
        except UnicodeEncodeError as e:
            raise BentoMLException(f"{self.info.KIND} `{self.tag}`: {e.object!r} {name_problem()}") from e
        if found and not self._folder.exists():
            raise NotFound(f"{self.info.KIND} `{self.tag}` was deleted while it was looked at")
        if found:
            raise BentoMLException(said(found, self.info.COMMANDS))

    def damage(self, reading: Reading | None = None) -> list[Damage]:
        """Return what is wrong with the files; all of them are read."""
        if reading is not None:
            return find_damage(self._folder, self.info, reading)
        with Reading() as own:
            return find_damage(self._folder, self.info, own)

    def path_of(self, item: str) -> str:
        """Return the path of a file in it.

        Raises:
            InvalidArgument: the path leaves the folder.
        """
        under(self._folder, item)
        return os.path.join(self.path, item)

    def export(
        self,
        path: str | os.PathLike[str],
        output_format: str | None = None,
        *,
        protocol: str | None = None,
        user: str | None = None,
        passwd: str | None = None,
        params: Mapping[str, str] | None = None,
        subpath: str | None = None,
    ) -> str:
        """Write it to a file, a folder or the place of a URL, as `bentoml.models.export_model` does."""
        from .archives.api import export_item

        return export_item(
            self,
            path,
            output_format,
            protocol=protocol,
            user=user,
            passwd=passwd,
            params=params,
            subpath=subpath,
        )

    def _settle(self, folder: Path, info: InfoT) -> None:
        """Take the final place and manifest of what was a draft until now."""
        self._folder, self.info = folder, info
        for computed in ("digest", "tree"):
            self.__dict__.pop(computed, None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.tag == other.tag

    def __hash__(self) -> int:
        return hash(self.tag)

    def __str__(self) -> str:
        return f'{type(self).__name__}(tag="{self.tag}")'

    def __repr__(self) -> str:
        return f'{type(self).__name__}(tag="{self.tag}", path="{self.path}")'


@contextmanager
def reading(*items: Item[Any]) -> Iterator[None]:
    """Read items in the block: what fails there because somebody deleted or replaced one of them meanwhile is said so.

    Raises:
        NotFound: one is not what it was when the block began, and the block failed.
    """
    before = [generation(Path(item.path)) for item in items]
    try:
        yield
    except (BentoMLException, OSError) as e:
        for item, was in zip(items, before, strict=True):
            if (now := generation(Path(item.path))) != was or not now:
                what = "replaced" if now else "deleted"
                raise NotFound(f"{item.info.KIND} `{item.tag}` was {what} while it was read") from e
        raise
