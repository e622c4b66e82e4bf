"""What a project requires: the requirement lines of its build file, or of the file that it names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..exceptions import BentoMLConfigException, InvalidArgument
from ..paths import under
from .config import PythonConfig, parse_config
from .documents import read_text
from .requirements import read_requirements, split_runtime

__all__ = ["ProjectRequirements", "project_requirements"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectRequirements:
    """The lines without `bentoml` itself, the extras asked of it, and where packages come from."""

    lines: tuple[str, ...]
    extras: frozenset[str]
    python: PythonConfig


def project_requirements(project: Path, python: PythonConfig) -> ProjectRequirements:
    """Return what the project requires; options in its requirements file count where the build file says nothing.

    Raises:
        BentoMLConfigException: the requirements file cannot be read or cannot be part of a bento.
    """
    lines = python.packages
    if python.requirements_txt:
        if python.packages:
            logger.warning(
                "python.packages is not used, as python.requirements_txt names `%s`", python.requirements_txt
            )
        found = read_requirements(python.requirements_txt, lambda name: _read(project, name))
        lines = found.lines
        python = _with_options(python, found.options)
    others, extras = split_runtime(lines)
    return ProjectRequirements(tuple(dict.fromkeys(others)), extras, python)


def _read(project: Path, name: str) -> str:
    try:
        return read_text(under(project, name))
    except InvalidArgument as e:
        raise BentoMLConfigException(f"requirements file: {e}") from e


def _with_options(python: PythonConfig, options: Mapping[str, list[str]]) -> PythonConfig:
    """Return the settings with the options of a requirements file where they say nothing; checked as in a build file."""
    data: dict[str, Any] = {**options}
    if "index_url" in data:
        data["index_url"] = data["index_url"][-1]
    if "no_index" in data:
        data["no_index"] = True
    found = parse_config({"python": data}, source=python.requirements_txt).python
    return replace(python, **{key: getattr(found, key) for key in data if not getattr(python, key)})
