"""Where the tasks of a service are kept."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...config import Home
from ...sdk.service import Service

__all__ = ["Place", "TaskOptions", "place_of"]

_RESULT_STORE = "BENTOML_RESULT_STORE"
_IN_MEMORY = ":memory:"
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Place:
    """A database, which is in memory where it has no file, and who uses it: several services may share one file."""

    service: str
    database: Path | None
    folder: Path | None  # of the long bodies and of the owners' files


@dataclass(frozen=True)
class TaskOptions:
    """Where the tasks of a process are, how many workers share them, and the seconds that running ones get at the end.

    Without a place they are in memory.
    """

    place: Place = Place("", None, None)
    workers: int = 1
    grace: float = 5.0

    def of_dependency(self, name: str) -> TaskOptions:
        """Return those of a service that runs in the same process: its tasks are kept beside."""
        return replace(self, place=replace(self.place, service=f"{self.place.service}.{name}"))


def place_of(service: Service[Any], *, home: Home, env: Mapping[str, str], working_dir: Path) -> Place:
    """Return the place of a service's tasks.

    All versions of a bento have one; a service that is served from its project has one for each folder of a project, so that two
    projects whose services have the same name never run one another's tasks.
    """
    if service.bento is not None:
        identity = [service.bento.tag.name, service.name]
    else:
        identity = ["", service.name, str(working_dir)]
    name = service.bento.tag.name if service.bento is not None else service.name
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
    key = f"{re.sub(r'[^A-Za-z0-9_-]', '-', name)[:_LONGEST_NAME]}-{digest}"
    store = env.get(_RESULT_STORE)
    if store == _IN_MEMORY:
        return Place(key, None, None)
    if store:
        file = Path(store).expanduser().absolute()
        return Place(key, file, file.with_name(f"{file.name}.files"))
    folder = home.state / key / "tasks"
    return Place(key, folder / "tasks.db", folder)
