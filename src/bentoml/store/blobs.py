"""Blobs: each file's bytes once, by content. A file in an item and its blob are one file with two names.

The number of names that the file system counts is therefore the number of uses: a blob with one name is used by nobody.
Where links are impossible, items keep files of their own and no blob is made.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .content import STAMP, is_executable, wrong_content
from .staging import remove
from .tree import Entry

__all__ = ["MODE", "Blobs"]

MODE = {False: 0o444, True: 0o555}  # by `executable`: what is stored is never written again
_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV}


class Blobs:
    """Keep the bytes; to be called under the store's publishing lock, except for `holds`."""

    def __init__(self, root: Path, link: Callable[[Path, Path], None] = os.link) -> None:
        self.root = root
        self._link = link

    def path(self, entry: Entry) -> Path:
        """Return the place of the content; an executable has its own, as all names of a file share one mode."""
        name = entry.digest.hex + (".x" if entry.executable else "")
        return self.root / "sha256" / name[:2] / name

    def holds(self, entry: Entry) -> bool:
        """Say whether the content is here, with its mode; a blob that was perhaps written to is read."""
        try:
            found = self.path(entry).stat()
        except FileNotFoundError:
            return False
        if (found.st_size, is_executable(found.st_mode)) != (entry.size, entry.executable):
            return False
        return found.st_mtime_ns == STAMP or wrong_content(self.path(entry), entry) is None

    def is_at(self, file: Path, entry: Entry) -> bool:
        """Say whether ``file`` is a name of the content, which is here."""
        try:
            return self.holds(entry) and file.samefile(self.path(entry))
        except FileNotFoundError:
            return False

    def share(self, file: Path, entry: Entry) -> None:
        """Make ``file``, which holds the content of ``entry`` and is synced, and its blob one and the same."""
        if not entry.size or self.is_at(file, entry):  # renaming one name of a file to another does nothing
            return
        blob = self.path(entry)
        try:
            if self.holds(entry):
                self._replace_by_link(file, blob)
            else:
                blob.parent.mkdir(parents=True, exist_ok=True)
                self._replace_by_link(blob, file)
        except OSError as e:
            if e.errno not in _NO_LINKS:
                raise

    def _replace_by_link(self, name: Path, content: Path) -> None:
        draft = name.with_name(f".{secrets.token_hex(8)}")
        self._link(content, draft)
        os.replace(draft, name)

    @contextmanager
    def unshared_on_error(self, draft: Path, entries: Iterable[Entry], trash: Path) -> Iterator[None]:
        """Take back what was shared, if the block fails: blobs would otherwise outlive a draft that is not published."""
        try:
            yield
        except BaseException:
            remove(draft)
            self.release(entries, trash)
            raise

    def release(self, entries: Iterable[Entry], trash: Path) -> None:
        """Move those of these blobs that no item uses any more to ``trash``.

        Moving is quick; giving back the room, which is not, can wait until the lock is free.
        """
        for entry in entries:
            _move_unused(self.path(entry), trash)

    def sweep(self, trash: Path) -> None:
        """Move each blob that no item uses to ``trash``, and what a killed process left in the middle of `share`."""
        for blob in self.all():
            if blob.name.startswith("."):
                blob.rename(trash / blob.name)
            else:
                _move_unused(blob, trash)

    def all(self) -> Iterator[Path]:
        """Yield each blob."""
        yield from self.root.glob("sha256/*/*")


def _move_unused(blob: Path, trash: Path) -> None:
    with suppress(FileNotFoundError):
        if blob.stat().st_nlink == 1:
            blob.rename(trash / blob.name)
