"""Which files of a project its bento holds: those that its build file selects, and never the store's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...config import Home
from ...exceptions import InvalidArgument
from ..build_file.config import BuildConfig
from .files import SourceFile, find_files, without_src

__all__ = ["check_holds_service", "project_files"]

_SPECIAL, _ESCAPED = re.compile(r"([\\*?\[\]!# ])"), r"\\\1"  # in a pattern of .gitignore


def project_files(project: Path, config: BuildConfig, home: Home) -> list[SourceFile]:
    """Return the files of a project that belong to its bento."""
    files = find_files(project, config.include, [*config.exclude, *_places_of(home, project)])
    return without_src(files) if config.python.is_src_layout else files


def check_holds_service(files: Sequence[SourceFile], service: str, project: Path) -> None:
    """Make sure that the module of the service is in the bento, if the project is where it comes from."""
    stem = service.partition(":")[0].replace(".", "/")
    modules = {f"{stem}.py", f"{stem}/__init__.py"}
    there = [
        place for name in sorted(modules) for place in (name, f"src/{name}") if (project / place).is_file()
    ]
    if there and modules.isdisjoint(file.path for file in files):
        raise InvalidArgument(
            f"`{there[0]}`, which holds the service, would not be part of the bento; "
            "change `include`, `exclude` or `.bentoignore`"
        )


def _places_of(home: Home, project: Path) -> list[str]:
    """Return patterns for the store's own folders, which are no part of a project that they lie in."""
    root = home.root.resolve()
    if root == project:
        places = [home.models, home.bentos, home.aliases, home.blobs, home.staging, home.cache, home.state]
        return ["/store.lock", *(f"/{place.name}/" for place in places)]
    if root.is_relative_to(project):
        return [f"/{_SPECIAL.sub(_ESCAPED, root.relative_to(project).as_posix())}/"]
    return []
