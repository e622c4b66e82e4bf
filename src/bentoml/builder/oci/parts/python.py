"""The dependency layers: a virtual environment at one fixed place, known by what is asked for, or else installed.

Nothing of the target is run, so that any host can make an image for any platform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ....exceptions import BentoMLException
from ....store.archives.tar import Tar
from ....store.digest import Digest
from ..cache import Cache, kept_layer, recalled_layer
from ..codec import gzip_codec
from ..model import Layer, Platform
from .libraries import Needs

if TYPE_CHECKING:
    from .venv import Group

__all__ = ["Installed", "NoWheels", "PythonRequest", "PythonTarget", "Sources", "python_layers"]

_FORMAT = 1  # of the layers; to be raised when the same request gives other bytes
_MANYLINUX = (17, 28, *range(31, 41))  # the glibc 2.x levels that uv knows
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class NoWheels(BentoMLException):
    """There is no wheel of the packages ``names`` for the target: they would have to be built in it."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


class PythonTarget(NamedTuple):
    """Say for which Python packages are installed: its version ``X.Y``, its path, uv's name of the platform."""

    version: str
    interpreter: str
    platform: str

    @classmethod
    def of(cls, version: str, interpreter: str, platform: Platform, libc: str) -> PythonTarget:
        """Return the target that a platform and its C library (see `RootFS.libc`) make.

        Raises:
            BentoMLException: uv knows no wheels for such a machine.
        """
        machine = _MACHINES.get(platform.architecture)
        if platform.os != "linux" or machine is None:
            raise BentoMLException(f"platform `{platform}` is not supported; take linux/amd64 or linux/arm64")
        return cls(version, interpreter, f"{machine}-{_abi(libc)}")


class Sources(NamedTuple):
    """Where uv looks for packages: variables of its environment, and options."""

    env: Mapping[str, str]
    options: tuple[str, ...] = ()


class PythonRequest(NamedTuple):
    """Say what to install: a file of requirements, wheels beside it, and for which Python.

    Requirements without hashes are those of a bento that was not locked: uv resolves them now, and the result is not
    remembered. ``sources`` is asked where packages come from once one is needed; ``folder`` is where relative paths start.
    """

    requirements: Path
    wheels: tuple[Path, ...]
    target: PythonTarget
    folder: Path
    sources: Callable[[], Sources]

    @property
    def is_locked(self) -> bool:
        """Say whether the requirements are pinned with hashes."""
        return "--hash=" in self.requirements.read_text(encoding="utf-8")


class Installed(NamedTuple):
    """The layers of packages, from the bottom up, and the libraries that they need of a base, each with who needs it."""

    layers: tuple[Layer, ...] = ()
    needs: Needs = MappingProxyType({})


def python_layers(request: PythonRequest, cache: Cache, *, epoch: int, offline: bool = False) -> Installed:
    """Return the layers of the virtual environment: each large package, the rest, and the wheels of the request.

    What was installed before for the same requirements, platform and Python comes from the cache; uv is not run.

    Raises:
        NoWheels: a package has no wheel for the target.
        BentoMLException: a package cannot be fetched, or has another hash.
    """
    key = _key(request, epoch)
    if known := _recalled(key, cache):
        return known
    from .installation import install

    with cache.scratch() as scratch:
        groups, needs = install(request, scratch, offline=offline)
        layers = tuple(_layer(group, cache, epoch) for group in groups)
    if request.is_locked:
        named = [[_group_key(group, epoch), group.about] for group in groups]
        cache.remember(key, {"groups": named, "needs": needs})
    return Installed(layers, needs)


def _key(request: PythonRequest, epoch: int) -> Digest:
    target = request.target
    return Digest.of_json(
        {
            "python": _FORMAT,
            "requirements": Digest.of_file(request.requirements).hex,
            "wheels": sorted([wheel.name, Digest.of_file(wheel).hex] for wheel in request.wheels),
            "target": [target.version, target.interpreter, target.platform],
            "epoch": epoch,
        }
    )


def _recalled(key: Digest, cache: Cache) -> Installed | None:
    """Return what an earlier run made, unless one of its layers is gone."""
    record = cache.recall(key) or {}
    groups, needs = record.get("groups"), record.get("needs")
    layers = [
        recalled_layer(cache, group, gzip_codec(), "python", _about(packages))
        for group, packages in (groups if isinstance(groups, list) else [])
    ]
    if not layers or not all(layers):
        return None
    return Installed(tuple(layer for layer in layers if layer), needs if isinstance(needs, dict) else {})


def _layer(group: Group, cache: Cache, epoch: int) -> Layer:
    tar = Tar.of(group.entries, mtime=epoch)
    return kept_layer(
        cache, _group_key(group, epoch), lambda _: tar, gzip_codec(), "python", _about(group.about)
    )


def _group_key(group: Group, epoch: int) -> str:
    return str(Digest.of_json(["python", _FORMAT, group.content.hex, epoch]))


def _about(packages: str) -> str:
    return f"python: {packages}"


def _abi(libc: str) -> str:
    if libc == "musl":
        return "unknown-linux-musl"
    level = int(libc.partition(".")[2] or 28)
    return f"manylinux_2_{max((known for known in _MANYLINUX if known <= level), default=_MANYLINUX[0])}"
