"""One build: the project, the store, the environment, and how to build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from ..config import Home
from .packages.lock import LockMode

__all__ = ["DEFAULTS", "LOCK_FILE", "BuildOptions", "Job"]

LOCK_FILE = "bentofile.lock"

Step = Callable[[str], AbstractContextManager[None]]


class BuildOptions(NamedTuple):
    """How to build, which is no part of the project: the version, the machine to lock for, and what to do with the lock.

    ``labels`` go before those of the build file and of the service; ``lock_file`` is by default that of the project;
    ``update_base`` moves the digest of the base image that the lock has;
    ``step`` is entered with a few words for each thing that may take long; with ``offline`` no connection is made.
    """

    version: str | None = None
    labels: Mapping[str, str] = {}
    platform: str = "linux"
    offline: bool = False
    lock_mode: LockMode = "reuse"
    update_base: bool = False
    lock_file: Path | None = None
    step: Step = lambda _: nullcontext()


DEFAULTS = BuildOptions()


class Job(NamedTuple):
    """What is built, with which store and environment variables, and how."""

    project: Path
    home: Home
    env: Mapping[str, str]
    options: BuildOptions = DEFAULTS

    @property
    def lock_file(self) -> Path:
        """Where what was found once is kept."""
        return self.options.lock_file or self.project / LOCK_FILE
