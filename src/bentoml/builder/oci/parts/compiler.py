"""Who compiles the bytecode of an image: a Python of this machine, of the very release that the image has."""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ....process import CommandFailed, run
from ...packages.uv_command import uv_command
from ..cache import Cache

__all__ = ["CHILD", "Compiler", "LocalCompiler", "fetched_compiler", "local_compiler", "shares_of"]

logger = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("bytecode_child.py")  # what is run by that Python
_FETCHED = "pythons"  # in the cache


class Compiler(Protocol):
    """Compile by one release of Python."""

    def compile(self, folder: Path, times: Sequence[int]) -> None:
        """Compile the files ``0``, ``1``, ... of a folder into ``0.pyc``, ``1.pyc``, ...; some may not be compiled.

        Raises:
            BentoMLException: it is not that release after all, or cannot be run.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalCompiler:
    """A release of Python, such as ``3.11.2``, and a program of it on this machine."""

    release: str
    program: Path

    def compile(self, folder: Path, times: Sequence[int]) -> None:
        """Compile files, on all cores; see `Compiler`."""
        argv = [str(self.program), "-I", "-S", "-B", str(CHILD), str(folder), self.release]
        shares = shares_of(times, os.cpu_count() or 1)
        with ThreadPoolExecutor(len(shares)) as pool:
            for _ in pool.map(lambda lines: run(argv, input=lines, env={}), shares):
                pass


def shares_of(times: Sequence[int], count: int) -> list[bytes]:
    """Return what ``count`` processes are each told to compile: at least one of them, if only to say which Python it is."""
    lines = [f"{number} {time}\n".encode() for number, time in enumerate(times)]
    return [b"".join(lines[share::count]) for share in range(max(1, min(count, len(lines))))]


def local_compiler(release: str, cache: Cache, env: Mapping[str, str]) -> LocalCompiler | None:
    """Return the Python of this release that is here: what runs this, one that was fetched, or one that uv knows of."""
    if release == platform.python_version():
        return LocalCompiler(release, Path(sys.executable))
    if fetched := _fetched(release, cache):
        return fetched
    try:
        argv = [uv_command(), "python", "find", "--system", "--no-config", f"cpython@{release}"]
        return LocalCompiler(release, Path(run(argv, cwd=Path("/"), env=env).strip()))
    except CommandFailed as e:
        logger.debug("this machine has no Python %s: %s", release, e)
        return None


def fetched_compiler(release: str, cache: Cache, env: Mapping[str, str]) -> LocalCompiler | None:
    """Fetch the Python of this release, with uv, into the cache; none where nobody has it."""
    folder = cache.folder(_FETCHED)
    argv = [
        uv_command(), "python", "install", "--no-config", "--no-progress", "--no-bin", "--install-dir", str(folder),
        f"cpython@{release}",
    ]  # fmt: skip
    try:
        run(argv, env={**env, "NO_COLOR": "1"})
    except CommandFailed as e:
        logger.debug("Python %s cannot be fetched: %s", release, e)
    return _fetched(release, cache)


def _fetched(release: str, cache: Cache) -> LocalCompiler | None:
    places = (cache.root / _FETCHED).glob(f"cpython-{release}-*/bin/python3")
    return next((LocalCompiler(release, place) for place in sorted(places)), None)
