"""The folder that an engine is given: a bento with its models beside it, as links to the files of the store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...store.bentos import Bento
from ...store.models import Model
from ..packages.lock_platform import requirements_file

__all__ = ["make_context", "take_packages"]


def make_context(folder: Path, bento: Bento, models: Iterable[Model]) -> Path:
    """Fill a folder of the store's file system with what the Dockerfile of a bento copies; no byte is copied where links can be."""
    shutil.copytree(bento.path, folder, symlinks=True, copy_function=_linked)
    for model in models:
        place = folder / "models" / model.tag.name / str(model.tag.version)
        shutil.copytree(model.path, place, symlinks=True, copy_function=_linked)
    return folder


def take_packages(context: Path, platform: str, platforms: Sequence[str]) -> None:
    """Let the packages for one of a bento's platforms be those that its Dockerfile installs."""
    machine = "/".join(platform.split("/")[:2])
    taken, plain = (context / requirements_file(name, platforms) for name in (machine, platforms[0]))
    if taken != plain:
        plain.unlink()
        _linked(str(taken), str(plain))


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, one without links, or too many of them
        shutil.copy2(source, target, follow_symlinks=False)
