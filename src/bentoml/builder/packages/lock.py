"""bentofile.lock: what a bento stands on, exactly (packages, base image, commits), found once and kept beside the build file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from ...exceptions import BentoMLException
from ...paths import write_atomic
from ...store.digest import Digest
from ...store.locks import locked_folder
from .hashes import with_declared_hashes
from .indexes import Indexes
from .lock_platform import LockPlatform
from .packed_wheel import PackedWheel
from .uv_sources import UvSources

__all__ = [
    "Lock",
    "LockMode",
    "LockPlatform",
    "LockRequest",
    "Pins",
    "Resolver",
    "change_lock_file",
    "lock_models",
    "lock_requirements",
    "read_lock_file",
    "split_wheels",
]

LockMode = Literal["reuse", "update", "locked"]

_VERSION = 1
_HEADER = """\
# Made by `bentoml build`; commit it. It is kept while its inputs are unchanged; `bentoml build --update` moves it.
version = 1
"""
_PIN = re.compile(
    r"(?!.*''')[A-Za-z0-9][\w.\[\],-]*(==[^\s@;]+| @ [^\s;]+)( ; [^\x00-\x1f@]+)?( \\)?|    --hash=[a-z0-9]+:[0-9a-f]+( \\)?"
)

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB, _BASES = "huggingface", "bases"
_CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)


class LockRequest(NamedTuple):
    """What has to be resolved, and the ``indexes`` to ask; an input of the lock is only what is ``declared`` of them in
    the build file.

    ``wheels`` are requirements, too: their pins name no hash, as the bento holds the files, which come from ``commits`` (of the
    branches and tags among the git sources) or the project. ``checked`` are lines whose hashes go before those of an index. ``resolver`` names another one than uv.

    ``preferred`` holds the pins of the last lock: a resolver moves them only where it has to. With ``refresh`` it asks the
    indexes again instead of believing what it remembers of them.
    """

    requirements: tuple[str, ...]
    python_version: str
    platform: LockPlatform
    indexes: Indexes = Indexes()
    declared: Indexes = Indexes()
    preferred: str = ""
    refresh: bool = False
    wheels: tuple[PackedWheel, ...] = ()
    commits: Mapping[str, str] = {}
    constraints: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    prereleases: bool = False
    no_deps: bool = False
    sources: UvSources = UvSources()
    resolver: str = ""
    offline: bool = False

    @property
    def key(self) -> str:
        """The name of the entry in the lock."""
        return f"{self.platform}-python{self.python_version}"

    @property
    def inputs(self) -> Digest:
        """The digest of all that the answer depends on, but for what the indexes hold at the time."""
        rare = {
            "wheels": sorted([wheel.identity, wheel.extras, wheel.marker] for wheel in self.wheels),
            "constraints": sorted(self.constraints),
            "checked": sorted(
                line for line in self.checked if "--hash" in line and line not in self.requirements
            ),
            "prereleases": self.prereleases,
            "no_deps": self.no_deps,
            "packages": sorted(map(str, self.sources.packages)),
            "named": sorted(map(str, self.sources.indexes)),
            "resolver": self.resolver,
        }
        return Digest.of_json(
            {
                "requirements": sorted(self.requirements),
                "key": self.key,
                "indexes": self.declared._asdict(),
                **{key: value for key, value in rare.items() if value},
            }
        )


class Resolver(Protocol):
    """Find the packages that satisfy requirements."""

    def resolve(self, request: LockRequest) -> str:
        """Return the pinned requirements with their hashes, sorted, without addresses.

        Raises:
            BentoMLException: there is no solution, or an index does not answer; the message says which package.
        """
        ...


class Pins(NamedTuple):
    """An entry of the lock: the digest of its inputs, and the pinned requirements."""

    inputs: Digest
    requirements: str


class Lock(NamedTuple):
    """The content of a lock file; ``str()`` and ``parse()`` are inverses. ``models`` are those on Hugging Face.

    ``bases`` holds the digest of each base image, by its name (and platform, where each has its own).
    """

    entries: Mapping[str, Pins] = {}
    commits: Mapping[str, str] = {}
    models: Mapping[str, str] = {}
    bases: Mapping[str, Digest] = {}

    @classmethod
    def parse(cls, text: str) -> Lock:
        """Parse the text of a lock file; anything that is not one is a ``ValueError``."""
        if _CONFLICT.search(text):
            raise ValueError("it holds the marks of a merge conflict")
        data = tomllib.loads(text)
        if data.pop("version", None) != _VERSION:
            raise ValueError(f"its `version` is not {_VERSION}")
        commits, models = _commits(data, "git"), _commits(data, _HUB)
        bases = {name: Digest.parse(digest) for name, digest in _texts(data, _BASES).items()}
        entries = {}
        for key, entry in data.items():
            if not isinstance(entry, dict) or {"inputs", "requirements"} != set(entry) - {"checksum"}:
                raise ValueError(f"`{key}` does not hold `inputs` and `requirements`")
            requirements = _checked(entry["requirements"])
            if entry.get("checksum", _checksum(requirements)) != _checksum(requirements):
                raise ValueError(
                    f"the pins of `{key}` were changed by hand; say in the build file what is to be installed"
                )
            entries[key] = Pins(Digest.parse(entry["inputs"]), requirements)
        return cls(entries, commits, models, bases)

    def __str__(self) -> str:
        tables = (
            f'\n[{_quoted(key)}]\ninputs = "{pins.inputs}"\nchecksum = "{_checksum(pins.requirements)}"\n'
            f"requirements = '''\n{_checked(pins.requirements)}'''\n"
            for key, pins in sorted(self.entries.items())
        )
        bases = {name: str(digest) for name, digest in self.bases.items()}
        named = {_BASES: bases, "git": self.commits, _HUB: self.models}
        others = (_table(name, places) for name, places in named.items() if places)
        return _HEADER + "".join(others) + "".join(tables)


def lock_requirements(request: LockRequest, file: Path, resolver: Resolver, mode: LockMode = "reuse") -> str:
    """Return the pinned requirements: those of the lock file if they answer the request, else newly resolved and kept there.

    ``update`` resolves anew without regard to the lock; ``locked`` never writes it.

    Raises:
        BentoMLException: the file is not a lock, the resolver finds no solution, or in mode ``locked`` the file would change.
    """
    pins = read_lock_file(file).entries.get(request.key)
    if pins and pins.inputs == request.inputs and mode != "update":
        return pins.requirements
    if mode == "locked":
        state = "was made from other requirements" if pins else f"has no entry for `{request.key}`"
        raise BentoMLException(
            f"`{file.name}` {state}; run `bentoml build` without `--locked` and commit the file"
        )
    resolved = _resolved(_with_mode(request, pins, mode), resolver, file)
    resolved = with_declared_hashes((*request.requirements, *request.checked), resolved)
    pins = Pins(request.inputs, resolved)
    change_lock_file(
        file,
        lambda lock: lock._replace(entries={**lock.entries, request.key: pins}, commits=request.commits),
    )
    return resolved


def lock_models(
    wanted: Sequence[str], file: Path, commit_of: Callable[[str], str], mode: LockMode = "reuse"
) -> dict[str, str]:
    """Return the commit of each model on Hugging Face: that of the lock file, else the one of now, which is kept there.

    ``wanted`` are ``model@revision``. ``update`` asks anew for all; ``locked`` never writes the file.

    Raises:
        BentoMLException: the file is not a lock, or in mode ``locked`` it would change.
    """
    known = {} if mode == "update" else read_lock_file(file).models
    if mode == "locked" and (missing := [name for name in wanted if name not in known]):
        raise BentoMLException(
            f"`{file.name}` has no commit for model `{missing[0]}`; run `bentoml build` without `--locked` and commit the file"
        )
    found = {name: known.get(name) or commit_of(name) for name in sorted(wanted)}
    if found != read_lock_file(file).models and mode != "locked":
        change_lock_file(file, lambda lock: lock._replace(models=found))
    return found


def split_wheels(pins: str, wheels: Sequence[PackedWheel]) -> tuple[str, tuple[PackedWheel, ...]]:
    """Return the pins without those of a bento's own wheels, and the wheels that they name."""
    own = {f"{wheel.name}=={wheel.version}": wheel for wheel in wheels}
    lines = pins.splitlines(keepends=True)
    return "".join(line for line in lines if line.strip() not in own), tuple(
        own[line.strip()] for line in lines if line.strip() in own
    )


def _resolved(request: LockRequest, resolver: Resolver, file: Path) -> str:
    try:
        return resolver.resolve(request)
    except BentoMLException as e:
        if not request.offline:
            raise
        raise BentoMLException(
            f"`{file.name}` has no pins for what the project asks for, and `--offline` asks no index; build once without it "
            f"and commit the file\n{e}"
        ) from e


def change_lock_file(file: Path, change: Callable[[Lock], Lock]) -> None:
    """Change what the file holds, whatever other builds may have put there meanwhile."""
    try:
        _write(file, change)
    except OSError as e:
        raise BentoMLException(
            f"`{file}` cannot be written: {e.strerror}; build once where it can, and commit it, or set "
            "`python.lock_packages: false`"
        ) from e


def _write(file: Path, change: Callable[[Lock], Lock]) -> None:
    with locked_folder(file.parent):
        for draft in file.parent.glob(f".{file.name}.*"):  # of a build that was killed here
            draft.unlink()
        try:
            text = str(change(read_lock_file(file)))
        except ValueError as e:
            raise BentoMLException(f"the resolver gave an answer that cannot be locked: {e}") from e
        write_atomic(file, text.encode())


def _with_mode(request: LockRequest, pins: Pins | None, mode: LockMode) -> LockRequest:
    if mode == "update":
        return request._replace(refresh=True)
    return request._replace(preferred=pins.requirements) if pins else request


def read_lock_file(file: Path) -> Lock:
    """Read a lock; a file that is not there is an empty one.

    Raises:
        BentoMLException: it is no lock.
    """
    try:
        return Lock.parse(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Lock()
    except (OSError, ValueError) as e:
        raise BentoMLException(
            f"`{file}` is not a lock that can be read: {e}; restore it, or delete it and build again"
        ) from e


def _checked(requirements: object) -> str:
    """Return the text of an entry; refuse what a resolver does not write, so that no option hides among the pins."""
    if not isinstance(requirements, str):
        raise ValueError("`requirements` is not text")
    for line in requirements.splitlines():
        if not _PIN.fullmatch(line):
            raise ValueError(f"{line!r} is not a pinned requirement")
    return requirements


def _checksum(requirements: str) -> str:
    return str(Digest.of(requirements.encode()))


def _commits(data: dict[str, Any], name: str) -> dict[str, str]:
    commits = _texts(data, name)
    if not all(_COMMIT.fullmatch(commit) for commit in commits.values()):
        raise ValueError(f"`{name}` does not hold commits")
    return commits


def _texts(data: dict[str, Any], name: str) -> dict[str, str]:
    texts = data.pop(name, {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError(f"`{name}` is not a table of texts")
    return texts


def _table(name: str, texts: Mapping[str, str]) -> str:
    lines = (f'{json.dumps(key)} = "{text}"\n' for key, text in sorted(texts.items()))
    return f"\n[{name}]\n" + "".join(lines)


def _quoted(key: str) -> str:
    return f'"{key}"'
