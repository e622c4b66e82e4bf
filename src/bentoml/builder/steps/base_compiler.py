"""Bytecode by the base's own Python, in an engine, for a machine that has not the same release; and who compiles at all."""

from __future__ import annotations

import logging
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ...exceptions import BentoMLException
from ...store.archives.tar import TarEntry
from ..daemon.api import reached
from ..oci.bases.rootfs import LayerStream
from ..oci.cache import Cache
from ..oci.model import Base, Platform
from ..oci.parts.bytecode import Python
from ..oci.parts.compiler import CHILD, Compiler, fetched_compiler, local_compiler, shares_of
from .model import FILES, Step
from .run import container_upon

__all__ = ["BaseCompiler", "find_compiler", "runs"]

logger = logging.getLogger(__name__)

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}  # as the engine calls them
_PLACE, _CHILD, _LINES = f"{FILES}/bytecode", f"{FILES}/{CHILD.name}", f"{FILES}/lines"
_MADE = re.compile(r"bytecode/(\d+\.pyc)")
_SCRIPT = f"""\
for lines in /{_LINES}/*; do
    "$0" -I -S -B /{_CHILD} /{_PLACE} "$1" <"$lines" &
    all="${{all:-}} $!"
done
for one in $all; do wait "$one" || exit 1; done"""


@dataclass(frozen=True, slots=True)
class BaseCompiler:
    """The Python of a base, in a container without a network of the engine that ``DOCKER_HOST`` in ``env`` names."""

    base: Base
    python: Python
    env: Mapping[str, str]
    cores: int = 1

    def compile(self, folder: Path, times: Sequence[int]) -> None:
        """Compile files; see `Compiler`.

        Raises:
            BentoMLException: the engine cannot run it, or it is another release than the base says.
        """
        shares = shares_of(times, self.cores)
        files = (
            TarEntry.file(_CHILD, CHILD),
            *(TarEntry.file(f"{_LINES}/{number}", lines) for number, lines in enumerate(shares)),
            *(TarEntry.file(f"{_PLACE}/{number}", folder / str(number)) for number in range(len(times))),
        )
        step = Step("bytecode", ("/bin/sh", "-c", _SCRIPT, self.python.program, self.python.release))
        with container_upon(
            self.base, engine=self.env, files=files, env={}, secrets={}, network="none"
        ) as container:
            container.run(step)
            stream = LayerStream(container.read(f"/{_PLACE}"))
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    found, file = _MADE.fullmatch(member.name), archive.extractfile(member)
                    if found and file:
                        (folder / found[1]).write_bytes(file.read())
            stream.drain()


def find_compiler(
    python: Python, base: Base, *, cache: Cache, env: Mapping[str, str], offline: bool
) -> Compiler:
    """Return who compiles for a base by the very release that it has, which gives the same bytes everywhere.

    That is a Python of this machine, else the base's own in an engine that answers, else one that is fetched.

    Raises:
        BentoMLException: there is none, or the base does not say which release it has.
    """
    if not python.release:
        raise BentoMLException(
            f"base `{base.name}` does not say which release of Python `{python.program}` is, so that nobody can compile for "
            "it; make the image with `--no-compile`, or take another base"
        )
    found = (
        local_compiler(python.release, cache, env)
        or _in_engine(python, base, env)
        or (None if offline else fetched_compiler(python.release, cache, env))
    )
    if found is None:
        raise BentoMLException(
            f"bytecode is compiled by the release of Python that base `{base.name}` has, {python.release}: this machine has not "
            f"that one, no engine answers that could run the base's own for {base.platform}{_sdk_hint()}, and "
            f"{'`--offline` fetches none' if offline else 'it cannot be fetched'}; start an engine, install Python "
            f"{python.release} where `uv python find {python.release}` finds it, or make the image with `--no-compile`"
        )
    return found


def _sdk_hint() -> str:
    return "" if _has_sdk() else " (to be asked with `pip install 'bentoml[docker]'`)"


def _has_sdk() -> bool:
    """Say whether containers can be run: an engine that answers is not enough."""
    return find_spec("docker") is not None


def _in_engine(python: Python, base: Base, env: Mapping[str, str]) -> BaseCompiler | None:
    """Return the base's own Python, if an engine answers that runs programs of its platform."""
    if not _has_sdk():
        return None
    try:
        with reached(env) as engine:
            info = engine.info()
    except BentoMLException as e:
        logger.debug("no engine runs the Python of the base: %s", e)
        return None
    return BaseCompiler(base, python, env, int(info.get("NCPU") or 1)) if runs(info, base.platform) else None


def runs(info: Mapping[str, object], platform: Platform) -> bool:
    """Say whether an engine, by what it says of itself, runs programs of a platform without emulating them."""
    machine = str(info.get("Architecture"))
    return (info.get("OSType"), _MACHINES.get(machine, machine)) == (platform.os, platform.architecture)
