"""The ways to ask for a build: from a project's build file, or from arguments alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import Home
from ..exceptions import InvalidArgument
from ..store.bentos import Bento
from .bento import DEFAULTS, LOCK_FILE, BuildOptions, build
from .config import BuildConfig, load_config, parse_config, with_files

__all__ = ["build_from_arguments", "build_project", "split_target"]


def split_target(target: str) -> tuple[Path, str]:
    """Return the project's folder and the service that a target names: one of them, the other being `.` or empty."""
    if ":" in target or not Path(target).is_dir():
        return Path(), target
    return Path(target), ""


def build_project(
    folder: Path,
    bentofile: Path | None = None,
    *,
    home: Home,
    env: Mapping[str, str],
    service: str = "",
    name: str = "",
    args: Mapping[str, Any] | None = None,
    options: BuildOptions = DEFAULTS,
) -> Bento:
    """Build the bento that a project's build file describes; what is given here goes before what the file says.

    The lock is kept beside the build file.
    """
    project = folder.resolve()
    config = load_config(project, bentofile)
    if bentofile is not None:
        options = replace(options, lock_file=bentofile.resolve().parent / LOCK_FILE)
    given = {"service": service, "name": name, "args": dict(args or {})}
    return build(project, _overridden(config, given), home=home, env=env, options=options)


def build_from_arguments(
    service: str,
    *,
    home: Home,
    env: Mapping[str, str],
    build_ctx: str | Path | None = None,
    options: BuildOptions = DEFAULTS,
    **declared: Any,
) -> Bento:
    """Build a bento from what a build file would say, given as keyword arguments; no build file is read."""
    project = Path(build_ctx or ".").resolve()
    if not project.is_dir():
        raise InvalidArgument(f"build_ctx `{project}` is not a folder")
    data = {key: value for key, value in declared.items() if value is not None}
    config = parse_config(with_files({**data, "service": service}, project), source="build()")
    return build(project, config, home=home, env=env, options=options)


def _overridden(config: BuildConfig, given: Mapping[str, Any]) -> BuildConfig:
    """Return the configuration with other values, checked as those of a build file are."""
    checked = parse_config({key: value for key, value in given.items() if value}, source="the command")
    return replace(
        config,
        service=checked.service or config.service,
        name=checked.name or config.name,
        args={**config.args, **checked.args},
    )
