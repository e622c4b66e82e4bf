"""Refs: from what a person writes (a name, `latest`, the first characters of a version) to one version.

`latest` names the item that was saved last, as the file ``<name>/latest`` says. Saving content that is there already
counts: after saving something, `latest` is what was saved. Where that file is missing or names nothing, `latest` is the
newest item by creation time. Reading never writes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from ..exceptions import BentoMLException
from ..paths import write_atomic
from ..tag import Tag

__all__ = ["LATEST", "is_latest_wrong", "read_latest", "resolve", "tag_of", "versions", "write_latest"]

logger = logging.getLogger(__name__)

LATEST = "latest"


def versions(folder: Path) -> list[str]:
    """Return the folders in a folder, sorted: the versions of a name, or the names; none if it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except FileNotFoundError:
        return []
    except (NotADirectoryError, PermissionError) as e:
        raise BentoMLException(f"`{folder}` of the store cannot be listed: {e.strerror}") from e


def tag_of(name: str, version: str) -> Tag | None:
    """Return the tag of a folder; a folder that is called like no tag is none of ours."""
    try:
        tag = Tag(name, version)
    except BentoMLException:
        tag = None
    if str(tag) != f"{name}:{version}" or version == LATEST:
        logger.warning("`%s/%s` is not the name of an item; it is left alone", name, version)
        return None
    return tag


def resolve(tag: Tag, folder: Path, newest: Callable[[], str | None]) -> Tag | None:
    """Return the full tag that ``tag`` means among the versions in ``folder``, or None if it means nothing.

    ``newest`` finds the newest version by creation time; it is called only if the file `latest` does not help.

    Raises:
        BentoMLException: it is the beginning of several versions.
    """
    if tag.version is None or tag.version == LATEST:
        version = read_latest(folder) or newest()
        return Tag(tag.name, version) if version else None
    there = versions(folder)
    if tag.version in there:
        return tag
    matches = [version for version in there if version.startswith(tag.version)]
    if len(matches) > 1:
        found = ", ".join(f"{tag.name}:{version}" for version in matches)
        raise BentoMLException(f"Multiple versions found for `{tag}`: {found}; write more of the version")
    return Tag(tag.name, matches[0]) if matches else None


def read_latest(folder: Path) -> str | None:
    """Return the version that the file `latest` names, or None if it is missing or out of date."""
    try:
        version = (folder / LATEST).read_text("utf-8").strip()
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        return None
    except OSError as e:
        raise BentoMLException(f"`{folder / LATEST}` of the store cannot be read: {e.strerror}") from e
    return version if version in versions(folder) else None


def is_latest_wrong(folder: Path) -> bool:
    """Say whether there is a file `latest` that names no version: the newest is meant then."""
    return (folder / LATEST).exists() and read_latest(folder) is None


def write_latest(folder: Path, version: str | None) -> None:
    """Let `latest` name this version; None removes it."""
    if version is None:
        (folder / LATEST).unlink(missing_ok=True)
    else:
        write_atomic(folder / LATEST, version.encode())
