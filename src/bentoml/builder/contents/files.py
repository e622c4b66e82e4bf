"""Which files of a project belong to a bento: a walk that never lists what is excluded, and a copy that is always the same."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...exceptions import BentoMLException, InvalidArgument
from ...paths import name_problem, under
from ..build_file.documents import read_text

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["SourceFile", "copy_files", "find_files", "without_src"]

# Also as links and, for `.git`, as a file, which a second work tree has. The lock stays out because its content is in
# `env/python`, and because an entry for another platform must not change the tag of this one.
_IMAGE = {"oci-layout", "index.json"}  # a folder with these is an image, such as `containerize` writes
_NEVER_COPIED = {".git", ".venv", "venv", "__pycache__", ".DS_Store", "bentofile.lock"}
_LOCK_DRAFT = ".bentofile.lock."  # what a build that was killed while it wrote the lock leaves behind
_IGNORE_FILE = ".bentoignore"
_NAME = re.compile(r"[A-Za-z0-9_.*-]+")

ScanDir = Callable[[str], "os._ScandirIterator[str]"]


class SourceFile(NamedTuple):
    """A file of a project: its path in the bento's `src`, where it is now, what it is, and its size in bytes."""

    path: str
    origin: Path
    executable: bool = False
    link: str | None = None
    size: int = 0


def find_files(
    project: Path,
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
    *,
    scandir: ScanDir = os.scandir,
) -> list[SourceFile]:
    """Return the files that the patterns select, sorted by path.

    The patterns are those of a ``.gitignore``: ``exclude`` comes after ``include``, then the ``.bentoignore`` files, from
    the top folder down, each relative to its own folder. Below an excluded folder nothing is selected, so that it is
    never listed; links are never followed.

    Raises:
        BentoMLException: a selected file cannot be read, is neither a file nor a link, or its name is not UTF-8.
        InvalidArgument: a selected link leads out of the project or to something that is not selected.
    """
    included = None if tuple(include) == ("*",) else _names(include) or _spec(include, "`include`")
    rules = _Rules((("", _spec(exclude, "`exclude`")),) if exclude else ())
    try:
        files = sorted(_walk(project, "", included, rules, scandir))
    except RecursionError as e:
        raise BentoMLException(
            f"the folders of `{project}` are nested hundreds deep; exclude what they lie in"
        ) from e
    _check_links(project, files)
    return files


def without_src(files: Sequence[SourceFile]) -> list[SourceFile]:
    """Return the files with a leading ``src/`` taken from their paths, for a project of the `src` layout.

    Raises:
        InvalidArgument: two files would have the same path.
    """
    moved: dict[str, SourceFile] = {}
    for file in files:
        path = file.path.removeprefix("src/")
        if path in moved:
            raise InvalidArgument(
                f"`{path}` and `src/{path}` would be one file in the bento; rename or exclude one"
            )
        link = file.link
        if link is not None:
            target = os.path.normpath(os.path.join(os.path.dirname(file.path), link)).removeprefix("src/")
            link = os.path.relpath(target, os.path.dirname(path) or ".")
        moved[path] = file._replace(path=path, link=link)
    return sorted(moved.values())


def copy_files(files: Sequence[SourceFile], target: Path) -> None:
    """Copy files below ``target`` with modes 0755 and 0644, whatever the umask is.

    Raises:
        BentoMLException: a file cannot be read any more.
    """
    for folder in {(target / file.path).parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        destination = target / file.path
        if file.link is not None:
            destination.symlink_to(file.link)
            continue
        try:
            shutil.copyfile(file.origin, destination)
        except OSError as e:
            raise BentoMLException(f"`{file.origin}` cannot be copied: {e.strerror}") from e
        destination.chmod(0o755 if file.executable else 0o644)


class _Names(NamedTuple):
    """Patterns such as `*.py`, which mean a path if one of its parts fits: they do without the library of all others."""

    names: re.Pattern[str]

    def match_file(self, path: str) -> bool:
        return any(self.names.fullmatch(part) for part in path.split("/"))


def _names(patterns: Sequence[str]) -> _Names | None:
    """Return patterns that are nothing but names with `*`; None if another is among them."""
    if not all(_NAME.fullmatch(pattern) for pattern in patterns):
        return None
    return _Names(re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns)))


def _spec(patterns: Iterable[str], source: str) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # a tenth of the time of a small build, which may have no patterns

    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as e:
        raise InvalidArgument(f"{source}: {e}; the patterns are those of .gitignore") from e


class _Rules(NamedTuple):
    """The exclude rules that hold in one folder: each with the folder that its patterns are relative to."""

    specs: tuple[tuple[str, GitIgnoreSpec], ...] = ()

    def exclude(self, path: str) -> bool:
        """Say whether a path (a folder's ends with ``/``) is excluded; the last rule that speaks of it decides."""
        for folder, spec in reversed(self.specs):
            decision = spec.check_file(path.removeprefix(folder)).include
            if decision is not None:
                return decision
        return False

    def exclude_folder(self, path: str, origin: Path) -> bool:
        """Say whether a folder, or whatever lies in it (`data/*`), is excluded, so that it need not be listed."""
        if self.exclude(f"{path}/"):
            return True
        patterns = [
            (folder, str(p.pattern).strip(), p.include) for folder, spec in self.specs for p in spec.patterns
        ]
        if not any(
            text.endswith("/*") and folder + text[:-2].removeprefix("/") == path
            for folder, text, _ in patterns
        ):
            return False
        # what is excluded in it, but not itself, may be included again
        return all(include is not False for *_, include in patterns) and not (origin / _IGNORE_FILE).exists()

    def within(self, folder: str, file: Path) -> _Rules:
        """Return these rules and those of a folder's own ignore file."""
        lines = read_text(file).splitlines()
        return _Rules((*self.specs, (folder, _spec(lines, f"`{folder}{_IGNORE_FILE}`"))))


def _walk(
    folder: Path, prefix: str, included: _Names | GitIgnoreSpec | None, rules: _Rules, scandir: ScanDir
) -> Iterator[SourceFile]:
    """Yield the selected files of a folder and of those below it; ``prefix`` is its path, empty or ending with `/`."""
    try:
        with scandir(str(folder)) as entries:
            listed = {entry.name: entry for entry in entries}
    except OSError as e:
        raise BentoMLException(
            f"`{folder}` cannot be listed: {e.strerror}; make it readable or exclude it"
        ) from e
    if prefix and listed.keys() >= _IMAGE:
        return
    if _IGNORE_FILE in listed:
        rules = rules.within(prefix, folder / _IGNORE_FILE)
    for name, entry in listed.items():
        path = prefix + name
        if name in _NEVER_COPIED or name.startswith(_LOCK_DRAFT):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not rules.exclude_folder(path, folder / name):
                yield from _walk(folder / name, f"{path}/", included, rules, scandir)
        elif (included is None or included.match_file(path)) and not rules.exclude(path):
            yield _source_file(path, entry)


def _source_file(path: str, entry: os.DirEntry[str]) -> SourceFile:
    try:
        path.encode()
    except UnicodeEncodeError as e:
        raise BentoMLException(f"the name of {path!r} {name_problem()} or exclude it") from e
    status = entry.stat(follow_symlinks=False)
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return SourceFile(path, Path(entry.path), link=os.readlink(entry.path))
    if not stat.S_ISREG(mode):
        raise BentoMLException(f"`{path}` is neither a file nor a folder; exclude it")
    return SourceFile(path, Path(entry.path), executable=bool(mode & stat.S_IXUSR), size=status.st_size)


def _check_links(project: Path, files: Sequence[SourceFile]) -> None:
    """Refuse each link that would show something outside the bento, or nothing, once it is there."""
    selected: Mapping[str, SourceFile] = {file.path: file for file in files}
    folders = {str(parent) for file in files for parent in Path(file.path).parents}
    for file in files:
        if file.link is None:
            continue
        target = os.path.normpath(os.path.join(os.path.dirname(file.path), file.link))
        try:
            under(project, target)
        except InvalidArgument as e:
            raise InvalidArgument(
                f"the link `{file.path}` leads to `{file.link}`, outside the project; put a copy in its place or exclude it"
            ) from e
        if target not in selected and target not in folders:
            raise InvalidArgument(
                f"the link `{file.path}` leads to `{file.link}`, which is not part of the bento; exclude it"
            )
