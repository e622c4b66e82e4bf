"""Where things lie in an image, and whose they are; paths are relative to its root, as layers write them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from ....store.archives.tar import TarEntry

__all__ = ["APP", "BENTO", "BYTECODE", "HEALTH", "HOME", "HUB", "MODELS", "UID", "USER", "VENV", "folders"]

APP = "app"
VENV = f"{APP}/.venv"
HEALTH = f"{APP}/health.py"
HOME = "home/bentoml"
BENTO = f"{HOME}/bento"
MODELS = f"{HOME}/models"
BYTECODE = f"{HOME}/.cache/python"  # PYTHONPYCACHEPREFIX
HUB = f"{HOME}/hf-models"  # the cache of Hugging Face's library
USER = "bentoml"
UID = 1034  # of the user and of its group


def folders(paths: Iterable[str], top: str, *, owner: int = 0) -> list[TarEntry]:
    """Return an entry for each folder that leads from ``top`` (included) to one of ``paths``.

    Whatever is above ``top`` belongs to the base: its entry would override the mode that the base gave it. What is
    below needs one, because engines make a folder without an entry unreadable.
    """
    found: set[str] = set()
    for path in paths:
        while (path := posixpath.dirname(path)) not in found and (path == top or path.startswith(f"{top}/")):
            found.add(path)
    return [TarEntry.folder(path, uid=owner, gid=owner) for path in sorted(found)]
