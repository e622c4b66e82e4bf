"""Where things lie and what the environment says: the only one who reads and sets environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Home", "environment", "set_variables"]


def environment() -> Mapping[str, str]:
    """Return the environment of this process; whoever needs a variable is given this mapping as an argument."""
    return os.environ


def set_variables(variables: Mapping[str, str]) -> None:
    """Set variables for this process and those that it starts."""
    os.environ.update(variables)


class Home(NamedTuple):
    """Name each place under ``$BENTOML_HOME``; nothing is created before it is needed.

    The layout of ``models`` and ``bentos`` is that of BentoML 1.x, so that both can read one store.
    """

    root: Path

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Home:
        """Return the home that ``BENTOML_HOME`` names, by default ``~/bentoml``."""
        root = env.get("BENTOML_HOME")
        return cls(Path(root).expanduser().absolute() if root else Path.home() / "bentoml")

    @property
    def models(self) -> Path:
        """The models: ``<name>/<version>/model.yaml`` and files."""
        return self.root / "models"

    @property
    def bentos(self) -> Path:
        """The bentos: ``<name>/<version>/bento.yaml`` and files."""
        return self.root / "bentos"

    @property
    def blobs(self) -> Path:
        """Each file's bytes once, by content: ``sha256/ab/abcdef...``."""
        return self.root / "blobs"

    @property
    def aliases(self) -> Path:
        """Names that move from version to version: ``{models,bentos}/<name>/<alias>``."""
        return self.root / "aliases"

    @property
    def staging(self) -> Path:
        """Where everything is made before it is renamed into its place; same file system as the rest."""
        return self.root / "staging"

    @property
    def cache(self) -> Path:
        """What can be made again: image layers, wheels, base images."""
        return self.root / "cache"

    @property
    def downloads(self) -> Path:
        """What has arrived of blobs that are on their way from a registry."""
        return self.cache / "registry" / "partial"

    @property
    def state(self) -> Path:
        """What running services keep: one folder for each service."""
        return self.root / "state"
