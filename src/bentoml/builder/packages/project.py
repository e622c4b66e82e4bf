"""What a project requires: the requirement lines of its build file, or of the files that it names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...exceptions import BentoMLConfigException, InvalidArgument
from ...paths import under
from ...process import without_credentials
from ..build_file.config import PythonConfig, parse_config
from ..build_file.documents import read_document, read_text
from .foreign_lock import read_lock
from .hashes import without_hashes
from .requirements import Requirements, problem_of, read_requirements, split_runtime
from .sources import GitSource, Source, parse_source
from .uv_sources import UvSources, read_uv_sources

__all__ = ["ProjectRequirements", "project_requirements"]

logger = logging.getLogger(__name__)

_IMAGE = "the service's image"


class ProjectRequirements(NamedTuple):
    """The lines without `bentoml` itself, the extras asked of it, and where packages come from.

    ``sources`` are the lines that name code, which is packed as wheels; those of git are left to whoever builds the image
    where ``python.pack_git_packages`` is off. ``checked`` are lines whose hashes somebody vouches for.
    """

    lines: tuple[str, ...]
    extras: frozenset[str] = frozenset()
    python: PythonConfig = PythonConfig()
    sources: tuple[Source, ...] = ()
    unpacked: tuple[GitSource, ...] = ()
    constraints: tuple[str, ...] = ()
    prereleases: bool = False
    checked: tuple[str, ...] = ()
    uv: UvSources = UvSources()

    @property
    def is_locked(self) -> bool:
        """Say whether all that is installed is known when the bento is built."""
        return self.python.lock_packages and not self.unpacked

    @property
    def all_extra_indexes(self) -> tuple[str, ...]:
        """The indexes beside the main one: whoever installs finds every package in one of them, known by its hash."""
        named = (index for index in self.uv.indexes if not index.default and index.format == "simple")
        return (*self.python.extra_index_url, *(index.url for index in named))

    @property
    def links_in_bento(self) -> tuple[str, ...]:
        """The pages and folders of wheels; a folder as it is called in the bento's `src`."""
        pages = tuple(index.url for index in self.uv.indexes if index.format == "flat")
        if not self.python.is_src_layout:
            return (*self.python.find_links, *pages)
        folders = (link.removeprefix("./").removeprefix("src/") for link in self.python.find_links)
        return (*folders, *pages)

    def written(self, commits: Mapping[str, str]) -> tuple[str, ...]:
        """Return the requirement lines as the bento names them: git sources at the commit that they stand for."""
        code = (
            source.at(commits[source.place])
            if isinstance(source, GitSource) and source.place in commits
            else source.line
            for source in (*self.sources, *self.unpacked)
        )
        return (*self.lines, *code)


def project_requirements(
    project: Path, python: PythonConfig, env: Mapping[str, str] | None = None
) -> ProjectRequirements:
    """Return what the project requires; options in its requirements file count where the build file says nothing.

    Raises:
        BentoMLConfigException: a file cannot be read or cannot be part of a bento, or a lock of another tool is stale.
    """
    uv = _uv_sources(project, python)
    python = _with_lock(project, _with_index(python, uv))
    found = Requirements(python.packages)
    if python.requirements_txt:
        for key in ("packages", "lock_file"):
            if getattr(python, key):
                logger.warning(
                    "python.%s is not used, as python.requirements_txt names `%s`",
                    key,
                    python.requirements_txt,
                )
    file = _IMAGE if python.image_requirements else python.requirements_txt
    if file:
        texts = {_IMAGE: python.image_requirements}
        found = read_requirements(file, lambda name: texts.get(name) or _read(project, name))
        python = _with_options(python, found.options, file)
    pins = _locked(project, python, found.lines, env or {})
    named = found.lines if pins else _applied(uv, found.lines)  # a lock knows the commits
    others, extras = split_runtime([*named, *map(without_hashes, pins)])
    if found.constraints and not python.lock_packages:
        raise BentoMLConfigException(
            "constraints (`-c`) need the lock: take `python.lock_packages: false` away, or write them as requirements"
        )
    plain, sources = _split(others)
    unpacked = tuple(s for s in sources if isinstance(s, GitSource) and not python.pack_git_packages)
    return ProjectRequirements(
        lines=plain,
        extras=extras,
        python=python,
        sources=tuple(source for source in sources if source not in unpacked),
        unpacked=unpacked,
        constraints=found.constraints,
        prereleases=found.prereleases or "--pre" in python.pip_args,
        checked=(*found.lines, *pins),
        uv=uv,
    )


def _split(lines: list[str]) -> tuple[tuple[str, ...], list[Source]]:
    """Return the lines that an index answers, and those that are code; a package that is code is asked of no index."""
    sources = {source.line: source for line in lines if (source := parse_source(line))}
    plain = [line for line in dict.fromkeys(lines) if line not in sources]
    return tuple(plain), list(sources.values())


def _locked(
    project: Path, python: PythonConfig, lines: tuple[str, ...], env: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the pins of another tool's lock, if there is one."""
    if not python.lock_file or python.requirements_txt:
        return ()
    required = split_runtime(lines)[0]
    return read_lock(project, python.lock_file, required, env)


def _with_lock(project: Path, python: PythonConfig) -> PythonConfig:
    """Return the settings with the `uv.lock` that lies beside the `pyproject.toml` in which they stand."""
    if (
        python.is_pyproject
        and not python.lock_file
        and not python.requirements_txt
        and (project / "uv.lock").is_file()
    ):
        return python._replace(lock_file="uv.lock")
    return python


def _with_index(python: PythonConfig, uv: UvSources) -> PythonConfig:
    default = next((index.url for index in uv.indexes if index.default), "")
    return python._replace(index_url=python.index_url or default)


def _uv_sources(project: Path, python: PythonConfig) -> UvSources:
    """Return what `[tool.uv]` says, where the project's requirements come from its `pyproject.toml`."""
    file = project / "pyproject.toml"
    if not (python.is_pyproject or python.lock_file.endswith("uv.lock")) or not file.is_file():
        return UvSources()
    mistakes: list[str] = []
    found = read_uv_sources(read_document(file), mistakes)
    if mistakes:
        raise BentoMLConfigException(
            "\n".join(["pyproject.toml cannot be built from:", *(f"  {m}" for m in mistakes)])
        )
    return found


def _applied(uv: UvSources, lines: tuple[str, ...]) -> tuple[str, ...]:
    applied = uv.applied(lines)
    for line, before in zip(applied, lines, strict=True):
        if line != before and (problem := problem_of(line)):
            raise BentoMLConfigException(
                without_credentials(f"pyproject.toml: `tool.uv.sources`: `{line}`: {problem}")
            )
    return applied


def _read(project: Path, name: str) -> str:
    try:
        return read_text(under(project, name))
    except InvalidArgument as e:
        raise BentoMLConfigException(f"requirements file: {e}") from e


def _with_options(python: PythonConfig, options: Mapping[str, list[str]], source: str) -> PythonConfig:
    """Return the settings with the options of a requirements file where they say nothing; checked as in a build file."""
    data: dict[str, Any] = {**options}
    if "index_url" in data:
        data["index_url"] = data["index_url"][-1]
    if "no_index" in data:
        data["no_index"] = True
    found = parse_config({"python": data}, source=source).python
    return python._replace(**{key: getattr(found, key) for key in data if not getattr(python, key)})
