"""bentofile.lock: the exact packages that a bento installs, found once and kept beside the build file."""

from __future__ import annotations

import fcntl
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from ..exceptions import BentoMLException, InvalidArgument
from ..paths import write_atomic
from ..store.digest import Digest
from .hashes import with_declared_hashes
from .indexes import Indexes

__all__ = ["Lock", "LockMode", "LockPlatform", "LockRequest", "Pins", "Resolver", "lock_requirements"]

LockMode = Literal["reuse", "update", "locked"]

_VERSION = 1
_HEADER = """\
# Made by `bentoml build`; commit it. It is kept while its inputs are unchanged; `bentoml build --update` moves it.
version = 1
"""
_PIN = re.compile(
    r"(?!.*''')[A-Za-z0-9][\w.\[\],-]*(==| @ )[^\x00-\x1f]+|    --hash=[a-z0-9]+:[0-9a-f]+( \\)?"
)

_CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)

# The C library of the distribution's default base image decides which wheels run in it: Debian 12, the oldest that
# `python:X.Y-slim` stands for, has glibc 2.36, UBI 8 has 2.28, Amazon Linux 2 has 2.26; Alpine has musl.
_LIBC = {
    "debian": "manylinux_2_36",
    "ubi8": "manylinux_2_28",
    "amazonlinux": "manylinux_2_17",
    "alpine": "unknown-linux-musl",
}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "x86_64": "x86_64", "aarch64": "aarch64"}
_PLATFORM = re.compile(
    r"(?P<machine>x86_64|aarch64)-(?P<libc>manylinux_2_\d\d|manylinux2014|unknown-linux-(gnu|musl))"
)


@dataclass(frozen=True, slots=True)
class LockPlatform:
    """A machine that packages are chosen for; ``str()`` is the name that uv and `bentoml build --platform` use."""

    machine: str
    libc: str

    @classmethod
    def parse(cls, text: str, *, distro: str = "debian") -> LockPlatform:
        """Parse ``linux``, ``linux/arm64`` or ``aarch64-manylinux_2_36``; without a C library it is the distribution's.

        Raises:
            InvalidArgument: the text names none of these; a bento runs in a Linux image.
        """
        match = _PLATFORM.fullmatch(text)
        if match:
            return cls(match["machine"], match["libc"])
        os, _, machine = text.partition("/")
        if os != "linux" or (machine or "amd64") not in _MACHINES:
            raise InvalidArgument(
                f"platform `{text}` is not supported: a bento runs in a Linux image; use `linux/amd64`, `linux/arm64`, or "
                "with a C library `x86_64-manylinux_2_36` or `aarch64-unknown-linux-musl`"
            )
        return cls(_MACHINES[machine or "amd64"], _LIBC[distro])

    @property
    def image(self) -> str:
        """The platform as images name it: ``linux/amd64``."""
        return f"linux/{'amd64' if self.machine == 'x86_64' else 'arm64'}"

    def __str__(self) -> str:
        return f"{self.machine}-{self.libc}"


@dataclass(frozen=True, slots=True)
class LockRequest:
    """What has to be resolved, and the ``indexes`` to ask; an input of the lock is only what is ``declared`` of them in
    the build file.

    ``preferred`` holds the pins of the last lock: a resolver moves them only where it has to. With ``refresh`` it asks the
    indexes again instead of believing what it remembers of them.
    """

    requirements: tuple[str, ...]
    python_version: str
    platform: LockPlatform
    indexes: Indexes = field(default_factory=Indexes)
    declared: Indexes = field(default_factory=Indexes)
    preferred: str = ""
    refresh: bool = False

    @property
    def key(self) -> str:
        """The name of the entry in the lock."""
        return f"{self.platform}-python{self.python_version}"

    @property
    def inputs(self) -> Digest:
        """The digest of all that the answer depends on, but for what the indexes hold at the time."""
        return Digest.of_json(
            {"requirements": sorted(self.requirements), "key": self.key, "indexes": asdict(self.declared)}
        )


class Resolver(Protocol):
    """Find the packages that satisfy requirements."""

    def resolve(self, request: LockRequest) -> str:
        """Return the pinned requirements with their hashes, sorted, without addresses.

        Raises:
            BentoMLException: there is no solution, or an index does not answer; the message says which package.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pins:
    """An entry of the lock: the digest of its inputs, and the pinned requirements."""

    inputs: Digest
    requirements: str


@dataclass(frozen=True, slots=True)
class Lock:
    """The content of a lock file; ``str()`` and ``parse()`` are inverses."""

    entries: Mapping[str, Pins] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Lock:
        """Parse the text of a lock file; anything that is not one is a ``ValueError``."""
        if _CONFLICT.search(text):
            raise ValueError("it holds the marks of a merge conflict")
        data = tomllib.loads(text)
        if data.pop("version", None) != _VERSION:
            raise ValueError(f"its `version` is not {_VERSION}")
        entries = {}
        for key, entry in data.items():
            if not isinstance(entry, dict) or set(entry) != {"inputs", "requirements"}:
                raise ValueError(f"`{key}` does not hold `inputs` and `requirements`")
            requirements = _checked(entry["requirements"])
            entries[key] = Pins(Digest.parse(entry["inputs"]), requirements)
        return cls(entries)

    def __str__(self) -> str:
        tables = (
            f"\n[{_quoted(key)}]\ninputs = \"{pins.inputs}\"\nrequirements = '''\n{_checked(pins.requirements)}'''\n"
            for key, pins in sorted(self.entries.items())
        )
        return _HEADER + "".join(tables)


def lock_requirements(request: LockRequest, file: Path, resolver: Resolver, mode: LockMode = "reuse") -> str:
    """Return the pinned requirements: those of the lock file if they answer the request, else newly resolved and kept there.

    ``update`` resolves anew without regard to the lock; ``locked`` never writes it.

    Raises:
        BentoMLException: the file is not a lock, the resolver finds no solution, or in mode ``locked`` the file would change.
    """
    pins = _read(file).entries.get(request.key)
    if pins and pins.inputs == request.inputs and mode != "update":
        return pins.requirements
    if mode == "locked":
        state = "was made from other requirements" if pins else f"has no entry for `{request.key}`"
        raise BentoMLException(
            f"`{file.name}` {state}; run `bentoml build` without `--locked` and commit the file"
        )
    resolved = resolver.resolve(_with_mode(request, pins, mode))
    resolved = with_declared_hashes(request.requirements, resolved)
    try:
        _write(file, request.key, Pins(request.inputs, resolved))
    except OSError as e:
        raise BentoMLException(
            f"`{file}` cannot be written: {e.strerror}; build once where it can, and commit it, or set "
            "`python.lock_packages: false`"
        ) from e
    return resolved


def _write(file: Path, key: str, pins: Pins) -> None:
    """Put an entry into the file, beside those that other builds may have put there meanwhile."""
    with _alone_in(file.parent):
        for draft in file.parent.glob(f".{file.name}.*"):  # of a build that was killed here
            draft.unlink()
        try:
            text = str(Lock({**_read(file).entries, key: pins}))
        except ValueError as e:
            raise BentoMLException(f"the resolver gave an answer that cannot be locked: {e}") from e
        write_atomic(file, text.encode())


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's own lock, which leaves no file behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _with_mode(request: LockRequest, pins: Pins | None, mode: LockMode) -> LockRequest:
    if mode == "update":
        return replace(request, refresh=True)
    return replace(request, preferred=pins.requirements) if pins else request


def _read(file: Path) -> Lock:
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


def _quoted(key: str) -> str:
    return f'"{key}"'
