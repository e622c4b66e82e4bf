"""Shelf: the items of one kind in one store; how they are staged, stored, replaced, verified and deleted."""

from __future__ import annotations

import builtins
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ..config import Home
from ..exceptions import BentoMLException, InvalidArgument
from ..paths import fsync_folder, write_atomic
from ..tag import Tag
from . import refs
from .aliases import MARK, Alias
from .archives.members import Member, check_names
from .blobs import MODE, Blobs
from .catalog import Catalog
from .content import put_stamp
from .damage import Damage, Reading, find_damage, foreign_files
from .digest import Digest
from .inodes import generation
from .items import InfoT, Item
from .scan import durable_copy, scan, sync_folders, take
from .staging import Staging, remove
from .swap import swap
from .tree import Entry, Tree

__all__ = ["Shelf"]

logger = logging.getLogger(__name__)

_SHOWN = 20  # characters before and after what is wrong
_EPOCH = datetime.fromtimestamp(0, UTC)


class Shelf(Catalog[InfoT]):
    """The items of one kind in one store, and what changes them."""

    def __init__(self, home: Home, kind: type[InfoT], root: Path) -> None:
        super().__init__(kind, root, home.aliases / f"{kind.KIND}s")
        self._blobs = Blobs(home.blobs)
        self._staging = Staging(home)

    # -- storing

    @contextmanager
    def staged(self, tag: Tag) -> Iterator[Path]:
        """Make a folder for the files of a new item; it vanishes at the end of the block unless `commit` took it."""
        if tag.version == refs.LATEST:
            raise BentoMLException(
                f"`{tag}`: `latest` means the item saved last; choose another version, or none"
            )
        if self._staging.remove_abandoned():
            with self._staging.folder() as trash, self._staging.publishing():
                self._blobs.sweep(trash)
        with self._staging.folder() as folder:
            draft = folder / tag.name
            draft.mkdir()
            yield draft

    def commit(
        self, draft: Path, info: InfoT, check: Callable[[], object] = lambda: None
    ) -> tuple[Path, InfoT]:
        """Store a staged folder under the tag that follows from its content, or under the version that ``info`` has.

        Returns the item's folder and manifest. If the same item is there already, that one is returned. In both
        cases `latest` means it afterwards. ``check`` may refuse it; nobody can delete anything meanwhile.

        Raises:
            BentoMLException: the version exists with other content, or the files cannot be stored.
        """
        return self.put(draft, info, self.take(draft), check)

    def take(self, draft: Path, known: Iterable[Entry] = ()) -> Tree:
        """Make the files of a staged folder ready to be stored, and return them; those that are ``known`` are not read.

        Raises:
            InvalidArgument: there is something that an item cannot hold, or a file where the manifest will be.
        """
        by_path = {entry.path: entry for entry in known}
        return take(draft, self._blobs, manifest=self._kind.FILE, known=by_path)

    def put(
        self,
        draft: Path,
        info: InfoT,
        files: Tree,
        check: Callable[[], object] = lambda: None,
        *,
        replaces: bool = False,
    ) -> tuple[Path, InfoT]:
        """Store a staged folder whose files `take` returned; otherwise as `commit`.

        With ``replaces`` it takes the place of another item with its tag, of which an alias goes on to name what has the tag.
        """
        info, digest, text = self._described(info, files)
        tag, manifest = info.tag, draft / self._kind.FILE
        write_atomic(manifest, text)
        manifest.chmod(MODE[False])  # whatever the umask is
        put_stamp(manifest)
        trash = draft.parent
        with self._staging.beside(self._folder(tag).parent, trash) as place:
            if place != trash:
                draft = durable_copy(draft, place / draft.name)
            with self._staging.publishing():
                check()
                if not self.holds(tag, digest, or_other=replaces):
                    with self._blobs.unshared_on_error(draft, files.entries, trash):
                        self._publish(draft, info, trash)
                refs.write_latest(self._folder(tag).parent, tag.version)
                return self._folder(tag), self.read(tag)  # while nobody can delete it

    def _described(self, info: InfoT, files: Tree) -> tuple[InfoT, Digest, bytes]:
        """Return the manifest of an item with these files, its digest, and how it is written."""
        try:
            digest = info.identity(files)
            tag = Tag(info.tag.name, info.tag.version or digest.version())
            info = replace(info, tag=tag, digest=digest, listing=files.lines())
            return info, digest, info.to_yaml().encode()
        except UnicodeEncodeError as e:
            near = e.object[max(0, e.start - _SHOWN) : e.end + _SHOWN]
            raise InvalidArgument(
                f"what describes {self._kind.KIND} `{info.tag}` holds half of a character and cannot be stored: {near!r}"
            ) from e

    def holds(self, tag: Tag, digest: Digest, *, or_other: bool = False) -> bool:
        """Say whether the very same item is there and whole.

        Raises:
            BentoMLException: another one has the same tag, and ``or_other`` does not say that it may.
        """
        stored = self._read_fully(tag)
        if stored is None:
            return False
        damage = find_damage(self._folder(tag), stored, modes=True)
        if any(one.path == self._kind.FILE for one in damage):  # so that its digest says nothing
            return False
        existing = Item(self._folder(tag), stored).digest
        if existing != digest and not or_other:
            raise BentoMLException(
                f"{self._kind.KIND} `{tag}` exists with other content: it is {existing}, this is {digest}; "
                f"choose another version, or delete the old one with `{self._kind.COMMANDS} delete {tag}`"
            )
        return existing == digest and not damage

    def _publish(self, draft: Path, info: InfoT, trash: Path) -> None:
        target = self._folder(info.tag)
        for entry in info.files.entries:
            if entry.link is None:
                self._blobs.share(draft / entry.path, entry)
        sync_folders(draft)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._tell_names(info)
        before = self._read_fully(info.tag)
        if is_there := target.exists():  # damaged or another one, as `holds` found: this one takes its place
            swap(draft, target)
        else:
            draft.rename(target)
        fsync_folder(target.parent)
        fsync_folder(target.parent.parent)
        if is_there:
            self._drop(draft, before, trash)

    def _tell_names(self, info: InfoT) -> None:
        """Say now what exporting would say later, when the item may be needed elsewhere."""
        try:
            check_names(
                Member(entry.path, "symlink" if entry.link else "file") for entry in info.files.entries
            )
        except BentoMLException as e:
            logger.warning("%s `%s` can be used here, but not exported: %s", self._kind.KIND, info.tag, e)

    def _drop(self, folder: Path, info: InfoT | None, trash: Path) -> None:
        """Remove an item that was moved away, and the bytes that no other one shares."""
        remove(folder)
        if info is None:
            self._blobs.sweep(trash)
        else:
            self._blobs.release(info.files.entries, trash)

    # -- verifying

    def verify(self, tag: Tag, reading: Reading) -> builtins.list[Damage]:
        """Return what is wrong with an item, reading all of it; one of BentoML 1.x gets its digest now."""
        now = generation(self._folder(tag))
        while (before := now) and (found := self._damage(tag, reading)):
            if (now := generation(self._folder(tag))) == before:
                return found
        return []  # or it was deleted meanwhile; what was stored anew is looked at again

    def _damage(self, tag: Tag, reading: Reading) -> builtins.list[Damage]:
        folder = self._folder(tag)
        try:
            info = self._parse(tag, self._text(tag))
            if info.digest is None:
                self._record_digest(tag)
                return []
            return find_damage(folder, info, reading) or [*foreign_files(folder, info)]
        except InvalidArgument as e:  # a link that leaves it, say
            return [Damage(self._kind.KIND, tag, ".", f"has no digest and can get none: {e}")]
        except BentoMLException as e:
            return [Damage(self._kind.KIND, tag, self._kind.FILE, f"cannot be read: {e}")]

    def verify_names(self, name: str | None = None) -> builtins.list[Damage]:
        """Return what is wrong with that which names items, of one name or all: `latest` and aliases."""
        if not self._wrong_names(name):
            return []
        with suppress(BentoMLException), self.publishing():  # whoever is at it has done by then
            pass
        said = "names no version that is there"
        return [Damage(self._kind.KIND, Tag(one), path, said) for one, path in self._wrong_names(name)]

    def _wrong_names(self, name: str | None) -> builtins.list[tuple[str, str]]:
        names = refs.versions(self._root) if name is None else [name]
        latest = [(one, refs.LATEST) for one in names if refs.is_latest_wrong(self._root / one)]
        return latest + [(a.name, f"{MARK}{a.alias}") for a in self.aliases.names(name) if self._is_lost(a)]

    def dangling(self) -> builtins.list[Alias]:
        """Return the aliases that name what is not there; not those that are damaged, which somebody has to look at."""
        return [alias for alias in self.aliases.all() if self._is_lost(alias)]

    def _is_lost(self, alias: Alias) -> bool:
        return self.aliases.find(alias) not in refs.versions(self._root / alias.name)

    def _record_digest(self, tag: Tag) -> None:
        """Write the digest of an item of BentoML 1.x behind what its manifest says, if this user can."""
        files = scan(self._folder(tag), skip=self._kind.FILE)
        with (
            suppress(OSError, BentoMLException),
            self._staging.folder() as folder,
            self._staging.publishing(),
        ):
            text = self._text(tag).rstrip("\n") + "\n"
            text += self._parse(tag, text).seal(files)
            if self._parse(tag, text).digest:
                write_atomic(folder / self._kind.FILE, text.encode())
                put_stamp(folder / self._kind.FILE)
                os.replace(folder / self._kind.FILE, self._folder(tag) / self._kind.FILE)

    def publishing(self) -> AbstractContextManager[None]:
        """Hold the lock under which items and aliases appear and disappear."""
        return self._staging.publishing()

    # -- deleting

    def delete(
        self, taglike: str | Tag, *, force: bool = False, check: Callable[[Tag], None] = lambda _: None
    ) -> tuple[Path, InfoT]:
        """Remove the item that a tag means, and the bytes that no other item shares; return what it was.

        An alias that names it is removed, too, with ``force``. ``check`` may refuse the tag; nobody can save meanwhile.

        Raises:
            NotFound: it means no item.
            BentoMLException: it means several (a name alone means all its versions), or an alias names it.
        """
        tag = self.resolve_single(taglike)
        with (
            self._staging.folder() as trash,
            self._staging.beside(self._folder(tag).parent, trash) as heap,
            self._staging.publishing(),
        ):
            tag = self.resolve(tag)  # again, as another process may have deleted it meanwhile
            self._check_own(tag)
            check(tag)
            if not force:
                self.check_unnamed(tag)
            info = self._read_fully(tag)
            with suppress(OSError, BentoMLException):  # of a full disk, where it is done below
                self._unname(tag)
            self._folder(tag).rename(heap / "deleted")
            self._drop(heap / "deleted", info, trash)
            self._unname(tag)
            self._drop_name(tag.name)
        return self._folder(tag), info or self._kind(tag=tag, creation_time=_EPOCH)

    def check_unnamed(self, tag: Tag) -> None:
        """Make sure that no alias names an item.

        Raises:
            BentoMLException: some do; the message lists them.
        """
        if aliases := self.aliases.of(tag):
            names = ", ".join(f"`{alias}`" for alias in aliases)
            raise BentoMLException(
                f"{self._kind.KIND} `{tag}` is what {names} names and can't be deleted; let it name another with "
                f"`{self._kind.COMMANDS} alias {aliases[0]} TAG`, or delete both with `--force`"
            )

    def _check_own(self, tag: Tag) -> None:
        """Make sure that the item lies where the store put it: what a link leads to is not the store's to delete."""
        for folder in (self._folder(tag).parent, self._folder(tag)):
            if folder.is_symlink():
                raise BentoMLException(
                    f"`{folder}` is a link to `{os.readlink(folder)}`, and what lies elsewhere is left alone; remove the link"
                )

    def _unname(self, tag: Tag) -> None:
        """Let neither an alias nor `latest` name an item: whoever is killed then leaves nothing that names none."""
        for alias in self.aliases.of(tag):
            self.aliases.remove(alias)
        folder = self._root / tag.name
        if refs.read_latest(folder) in (None, tag.version):
            refs.write_latest(folder, self._newest(tag.name, but=tag.version))

    def _drop_name(self, name: str) -> None:
        folder = self._root / name
        if not refs.versions(folder) and not os.path.ismount(folder):
            remove(folder)
