"""What a build takes with it: how large it is and what makes it so, and whether the wheels that it needs are there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ...exceptions import InvalidArgument
from ...store.digest import Digest
from ..packages.project import ProjectRequirements
from ..packages.sources import PathSource
from .files import SourceFile

__all__ = ["check_included", "check_links", "largest", "tell_left_out", "tell_size"]

logger = logging.getLogger(__name__)

_MANY = 100 << 20  # bytes of files that are worth a warning
_LARGE = 10 << 20
_SHOWN = 10


def largest(files: Sequence[SourceFile], n: int = _SHOWN) -> list[SourceFile]:
    """Return the ``n`` largest files, the largest first; those of one size by their path."""
    return sorted(files, key=lambda file: (-file.size, file.path))[:n]


def tell_size(files: Sequence[SourceFile]) -> None:
    """Say how large the files are, and which are the largest: as a warning if there is much, else only to the curious."""
    total = sum(file.size for file in files)
    top = [file for file in largest(files) if file.size]
    listed = "".join(f"\n  {_megabytes(file.size):>10}  {file.path}" for file in top)
    if total > _MANY:
        logger.warning(
            "the project is %s in %d files; models are better kept in the model store, and what the service does not need "
            "in `exclude` or `.bentoignore`. The largest:%s", _megabytes(total), len(files), listed,
        )  # fmt: skip
        return
    logger.debug("the project is %s in %d files; the largest:%s", _megabytes(total), len(files), listed)
    for file in top:
        if file.size > _LARGE:
            logger.warning(
                "`%s` is larger than 10 MiB; a large model is better kept in the model store", file.path
            )


def tell_left_out(
    project: Path, requirements: ProjectRequirements, files: Sequence[SourceFile], modules: Sequence[str]
) -> None:
    """Warn of each module, given by its file, that the service imports from its project and the bento will lack.

    Code that the project requires is in the bento as a wheel.
    """
    selected = {file.origin for file in files}
    packed = [project / source.path for source in requirements.sources if isinstance(source, PathSource)]
    for module in map(Path, modules):
        if module not in selected and not any(module.is_relative_to(place) for place in packed):
            logger.warning(
                "`%s`, which the service imports, would not be part of the bento; change `include`, `exclude` or "
                "`.bentoignore`",
                module.relative_to(project),
            )


def check_included(project: Path, files: Sequence[SourceFile], paths: Sequence[str]) -> None:
    """Make sure that the files and folders of the project which its image takes from the bento are there.

    Raises:
        InvalidArgument: one would not be part of the bento.
    """
    selected = {place for file in files for place in (file.origin, *file.origin.parents)}
    for path in paths:
        if project / path not in selected:
            raise InvalidArgument(
                f"`{path}`, which the image includes, would not be part of the bento; change `include`, `exclude` or "
                "`.bentoignore`"
            )


def check_links(
    project: Path, requirements: ProjectRequirements, files: Sequence[SourceFile], pins: str
) -> None:
    """Make sure that the wheels that the pins mean are in the bento, where they come from folders of the project.

    Raises:
        InvalidArgument: a wheel, or a folder without which nothing is installed, would not be part of the bento.
    """
    selected = {file.origin for file in files}
    for link in requirements.python.find_links:
        folder = project / link
        if "://" in link:
            continue
        found = sorted(path for path in folder.glob("*") if path.name.endswith((".whl", ".tar.gz", ".zip")))
        missing = [path for path in found if path not in selected and _is_needed(path, requirements, pins)]
        if not folder.is_dir():
            raise InvalidArgument(f"`python.find_links` names `{link}`, which is no folder of the project")
        if missing:
            raise InvalidArgument(
                f"`{missing[0].relative_to(project)}`, which the image installs, would not be part of the bento; change "
                "`include`, `exclude` or `.bentoignore`"
            )


def _is_needed(path: Path, requirements: ProjectRequirements, pins: str) -> bool:
    return not requirements.is_locked or Digest.of_file(path).hex in pins


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
