"""The ways to ask for a build: from a project's build file, or from arguments alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import Home, environment
from ..exceptions import InvalidArgument
from ..store import current
from ..store.bentos import Bento
from .bento import build as build_bento
from .build_file.config import BuildConfig, load_config, parse_config
from .job import DEFAULTS, LOCK_FILE, BuildOptions

__all__ = ["build", "build_bentofile", "build_from_arguments", "build_project", "split_target"]


def build(
    service: str,
    *,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    description: str | None = None,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    envs: Sequence[Mapping[str, str]] | None = None,
    docker: Mapping[str, Any] | None = None,
    python: Mapping[str, Any] | None = None,
    conda: Mapping[str, Any] | None = None,
    models: Sequence[str | Mapping[str, Any]] | None = None,
    version: str | None = None,
    build_ctx: str | Path | None = None,
    platform: str | None = None,
    args: Mapping[str, Any] | None = None,
) -> Bento:
    """Build a bento from what a build file would say, given as arguments; no build file is read.

    ``service`` is `module:Class`, in the folder ``build_ctx`` (by default the current one).

    Raises:
        BentoMLException: as `bentoml build` says on the command line.
    """
    return build_from_arguments(
        service,
        home=current.home(),
        env=environment(),
        build_ctx=build_ctx,
        options=BuildOptions(version=version, platform=platform or DEFAULTS.platform),
        name=name,
        labels=labels,
        description=description,
        include=include,
        exclude=exclude,
        envs=envs,
        docker=docker,
        python=python,
        conda=conda,
        models=models,
        args=args,
    )


def build_bentofile(
    bentofile: str | Path | None = None,
    *,
    service: str | None = None,
    name: str | None = None,
    version: str | None = None,
    labels: Mapping[str, str] | None = None,
    build_ctx: str | Path | None = None,
    platform: str | None = None,
    bare: bool = False,
    reload: bool = False,
    args: Mapping[str, Any] | None = None,
) -> Bento:
    """Build the bento that a build file describes, by default that of ``build_ctx``; what is given here goes before it.

    ``reload`` changes nothing: the service is imported in a process of its own each time.

    Raises:
        InvalidArgument: ``bare`` is asked for.
        BentoMLException: as `bentoml build` says on the command line.
    """
    if bare:
        raise InvalidArgument("`bare` bentos, which hold no service, are not made; leave it away")
    return build_project(
        Path(build_ctx or "."),
        None if bentofile is None else Path(bentofile),
        home=current.home(),
        env=environment(),
        service=service or "",
        name=name or "",
        args=args,
        options=BuildOptions(version=version, labels=labels or {}, platform=platform or DEFAULTS.platform),
    )


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

    ``bentofile`` is looked for from the current folder, then in the project. The lock is kept beside the build file.
    """
    project = folder.resolve()
    if bentofile is not None and not bentofile.exists():
        bentofile = folder / bentofile
    config = load_config(project, bentofile)
    if bentofile is not None:
        options = options._replace(lock_file=bentofile.resolve().parent / LOCK_FILE)
    given = {"service": service, "name": name, "args": dict(args or {})}
    return build_bento(project, _overridden(config, given), home=home, env=env, options=options)


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
    config = parse_config({**data, "service": service}, source="build()", folder=project)
    return build_bento(project, config, home=home, env=env, options=options)


def _overridden(config: BuildConfig, given: Mapping[str, Any]) -> BuildConfig:
    """Return the configuration with other values, checked as those of a build file are."""
    checked = parse_config({key: value for key, value in given.items() if value}, source="the command")
    return config._replace(
        service=checked.service or config.service,
        name=checked.name or config.name,
        args={**config.args, **checked.args},
    )
