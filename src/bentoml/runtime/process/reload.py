"""Notice that a project's sources have changed, and nothing else: not what a running service writes.

Only files that look like sources count, and only when their content is another: a service that rewrites its own
configuration with the same text does not restart itself for ever.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

__all__ = ["Snapshot", "Watcher", "differences", "snapshot"]

logger = logging.getLogger(__name__)

_SOURCES = frozenset({".py", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".j2", ".jinja"})
_NEVER = frozenset({"__pycache__", "node_modules", "site-packages"})
_IGNORE_FILE = ".bentoignore"
_LOOK_EVERY = 0.5


class Stamp(NamedTuple):
    """What a file was: time and size tell cheaply that it is the same, the digest that it is not."""

    mtime: int
    size: int
    digest: bytes


Snapshot = dict[Path, Stamp]


class Watcher:
    """Call ``changed`` from a thread of its own whenever sources under a folder have changed, until ``stop()``.

    ``include`` and ``exclude`` are the patterns of the build file. ``poll`` says how often to look, in seconds; None leaves
    that to the system, where watchfiles is installed.
    """

    def __init__(
        self,
        folder: Path,
        changed: Callable[[], None],
        poll: float | None = None,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        self._changed = changed
        self._rules = _declared_rules(folder, include, exclude)
        self._known = snapshot(folder, {}, self._rules)
        self._news: list[str] = []
        self._stopping = threading.Event()
        self._poll = poll
        self._thread = threading.Thread(target=self._watch, name="bentoml-reload", daemon=True)
        self._thread.start()

    def news(self) -> list[str]:
        """Take the files that have changed since the last call, relative to the folder."""
        news, self._news = self._news, []
        return news

    def stop(self) -> None:
        """Watch no longer."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        for _ in _moments(self._folder, self._stopping, self._poll):
            now = snapshot(self._folder, self._known, self._rules)
            changed = differences(self._known, now)
            self._known = now
            if changed:
                self._news += [str(path.relative_to(self._folder)) for path in changed]
                self._changed()


Rule = Callable[[Path], bool]  # whether something is ignored


def snapshot(folder: Path, known: Mapping[Path, Stamp], rules: tuple[Rule, ...] = ()) -> Snapshot:
    """Return the stamp of each source under a folder; files whose time and size are known are not read again."""
    found: Snapshot = {}
    for path in _sources(folder, rules):
        try:
            status = path.stat()
            stamp = known.get(path)
            if stamp is None or (stamp.mtime, stamp.size) != (status.st_mtime_ns, status.st_size):
                stamp = Stamp(status.st_mtime_ns, status.st_size, sha256(path.read_bytes()).digest())
        except OSError:  # it went away in between, as drafts of editors do
            continue
        found[path] = stamp
    return found


def differences(before: Mapping[Path, Stamp], after: Mapping[Path, Stamp]) -> list[Path]:
    """Return the files that came, went or have another content."""
    old = {path: stamp.digest for path, stamp in before.items()}
    new = {path: stamp.digest for path, stamp in after.items()}
    return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))


def _sources(folder: Path, rules: tuple[Rule, ...]) -> Iterator[Path]:
    """Walk without entering what is ignored; hidden folders and virtual environments always are."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    names = {entry.name for entry in entries}
    if "pyvenv.cfg" in names:
        return
    if _IGNORE_FILE in names:
        rules = (*rules, _rule(folder))
    for entry in entries:
        path = folder / entry.name
        if any(ignores(path) for ignores in rules):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith(".") and entry.name not in _NEVER:
                yield from _sources(path, rules)
        elif path.suffix in _SOURCES:
            yield path


def _rule(folder: Path) -> Rule:
    return _matching(folder, (folder / _IGNORE_FILE).read_text(errors="replace").splitlines())


def _declared_rules(folder: Path, include: Sequence[str], exclude: Sequence[str]) -> tuple[Rule, ...]:
    """Return what a build file says: nothing but what is included, and nothing that is excluded."""
    rules = [_matching(folder, exclude)] if exclude else []
    if include:
        included = _matching(folder, include)
        rules.append(lambda path: not path.is_dir() and not included(path))
    return tuple(rules)


def _matching(folder: Path, patterns: Sequence[str]) -> Rule:
    from pathspec import GitIgnoreSpec  # only a reloading server needs it: others start faster and smaller

    spec = GitIgnoreSpec.from_lines(patterns)

    def matches(path: Path) -> bool:
        name = path.relative_to(folder).as_posix()
        return spec.match_file(f"{name}/" if path.is_dir() else name)

    return matches


def _moments(folder: Path, stopping: threading.Event, poll: float | None) -> Iterator[None]:
    """Yield when it is worth looking: twice a second, and at once where watchfiles is installed."""
    if poll is None:
        with suppress(ImportError):
            import watchfiles

            try:
                for _ in watchfiles.watch(
                    folder,
                    watch_filter=lambda _, path: os.path.splitext(path)[1] in _SOURCES,
                    stop_event=stopping,
                    rust_timeout=int(_LOOK_EVERY * 1000),
                    yield_on_timeout=True,
                    raise_interrupt=False,
                ):
                    yield
            except OSError as e:  # such as too many watched folders
                logger.warning("The system cannot tell what changes (%s); looking for it instead", e)
    while not stopping.wait(poll or _LOOK_EVERY):
        yield
