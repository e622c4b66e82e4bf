"""Packing the code that a project requires: git repositories, folders and archives become wheels in the bento."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from ...exceptions import BentoMLException, InvalidArgument
from ...paths import under, write_atomic
from ...process import CommandFailed, run
from ...store.digest import Digest
from ..contents.files import SourceFile, copy_files, find_files
from .git import checked_out, commit_of
from .indexes import Indexes
from .lock import LockMode
from .packed_wheel import PackedWheel, normalized, packed_wheel
from .sources import GitSource, PathSource, Source
from .uv_command import uv_command, uv_environment, uv_options

__all__ = ["Packed", "Packer", "pinned_commits", "source_path"]

_FORMAT = 1  # to be raised when the same source gives other bytes
_TIMEOUT = 1800.0
_EPOCH = "315532800"  # the first moment that a zip file can tell


class Packed(NamedTuple):
    """The wheels that were made or found, and the commits that branches and tags stood for."""

    wheels: tuple[PackedWheel, ...] = ()
    commits: Mapping[str, str] = {}


def pinned_commits(
    sources: Sequence[Source],
    known: Mapping[str, str],
    mode: LockMode,
    env: Mapping[str, str],
    *,
    offline: bool,
) -> dict[str, str]:
    """Return the commit of each git source: the one that the lock knows, else the one that the repository names now.

    Raises:
        BentoMLException: the lock may not change, or nothing may be asked, and it does not know a commit.
    """
    commits = {}
    for source in sources:
        if not isinstance(source, GitSource):
            continue
        if source.is_pinned:
            commits[source.place] = source.ref
        elif source.place in known and mode != "update":
            commits[source.place] = known[source.place]
        elif mode == "locked":
            raise BentoMLException(
                f"`bentofile.lock` has no commit for `{source.place}`; run `bentoml build` without `--locked` and commit the file"
            )
        elif offline:
            raise BentoMLException(
                f"which commit `{source.place}` is, is not in `bentofile.lock`; build once without `--offline`"
            )
        else:
            commits[source.place] = commit_of(source, env)
    return commits


def source_path(project: Path, source: PathSource) -> Path:
    """Return where code of the project, or a wheel, lies.

    Raises:
        BentoMLException: it is not there, or outside the project.
    """
    try:
        path = under(project, source.path)
    except InvalidArgument as e:
        raise BentoMLException(f"`{source.line}`: {e}") from e
    if not path.exists():
        raise BentoMLException(f"`{source.line}`: `{source.path}` is not there")
    return path


class Packer(NamedTuple):
    """Make wheels of a project's sources; what was made before for the same content lies in ``cache``.

    ``scratch`` makes a folder that vanishes when its block ends.
    """

    project: Path
    cache: Path
    scratch: Callable[[], AbstractContextManager[Path]]
    env: Mapping[str, str]
    indexes: Indexes = Indexes()
    offline: bool = False

    def pack(self, source: Source, commits: Mapping[str, str]) -> PackedWheel:
        """Return the wheel of a source.

        Raises:
            BentoMLException: it is missing, cannot be built, or builds into code for this machine alone.
        """
        if isinstance(source, GitSource):
            return self._from_git(source, commits[source.place])
        return self._from_path(source)

    def _from_git(self, source: GitSource, commit: str) -> PackedWheel:
        identity = f"{source.url}@{commit}#{source.subdirectory}"
        kept = self.cache / Digest.of_json(["git", _FORMAT, identity]).hex
        if not _wheels(kept):
            if self.offline:
                raise BentoMLException(
                    f"`{source.line}` was not packed on this machine yet; build once without `--offline`"
                )
            with self.scratch() as folder:
                package = checked_out(source, commit, folder / "repository", self.env)
                self._build(source, package, kept)
        return self._kept(source, kept, identity)

    def _from_path(self, source: PathSource) -> PackedWheel:
        path = source_path(self.project, source)
        if path.suffix == ".whl":
            wheel = packed_wheel(path, said=source.path)
            return PackedWheel(path, wheel.identity, source.extras, source.marker)
        files = _files(path)
        name = "package" if path.is_dir() else path.name  # what the project's folder is called means nothing
        content = Digest.of_json(["path", name, _content(files)])
        kept = self.cache / Digest.of_json([_FORMAT, str(content)]).hex
        if not _wheels(kept):
            with self.scratch() as folder:  # nothing is written beside the user's files
                copy = folder / name
                copy_files(files, copy if path.is_dir() else folder)
                self._build(source, copy, kept)
        return self._kept(source, kept, str(content))

    def _kept(self, source: Source, kept: Path, identity: str) -> PackedWheel:
        (file,) = _wheels(kept)
        wheel = PackedWheel(file, identity, source.extras, source.marker)
        named = source.name.replace("_", "-").replace(".", "-").lower()
        if named and wheel.name != named:
            raise BentoMLException(
                f"`{source.line}` names `{source.name}`, but the package there is `{wheel.name}`"
            )
        return wheel

    def _build(self, source: Source, package: Path, kept: Path) -> None:
        """Build a wheel of a folder of ours, or of an archive in one, and keep it."""
        out = package.parent / "out-of-it"
        argv = [
            uv_command(), "build", "--wheel", "--quiet", "--no-config", "--out-dir", str(out), str(package),
            "--python", sys.executable, *(["--offline"] if self.offline else []), *uv_options(self.indexes),
        ]  # fmt: skip
        env = {
            **uv_environment(self.indexes, self.env),
            "SOURCE_DATE_EPOCH": _EPOCH,
            "PYTHONHASHSEED": "0",
            "TZ": "UTC",
        }
        try:
            run(argv, cwd=package.parent, env=env, timeout=_TIMEOUT)
        except CommandFailed as e:
            said = e.output.replace(str(package), "").strip()
            raise BentoMLException(f"`{source.line}` cannot be packed as a wheel:\n{said}") from e
        (built,) = _wheels(out)
        data = normalized(built)
        kept.mkdir(parents=True, exist_ok=True)
        write_atomic(kept / built.name, data)


def _wheels(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.whl"))[:1]


def _files(path: Path) -> list[SourceFile]:
    """Return what of a folder or an archive is built: all but what earlier builds left there."""
    if path.is_dir():
        return find_files(path, exclude=("/build/", "*.egg-info/"))
    return [SourceFile(path.name, path)]


def _content(files: Sequence[SourceFile]) -> object:
    return [[file.path, file.link or str(Digest.of_file(file.origin)), file.executable] for file in files]
