"""`[tool.uv]` of a `pyproject.toml`: indexes by name, and which package comes from where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..build_file.fields import Fields

__all__ = ["NamedIndex", "PackageIndex", "UvSources", "read_uv_sources"]

_INDEX_URL = re.compile(r"(https?|file)://[^\s@'\"\\]+")
_URL_RULE = (
    "an index is an http(s) or file URL without a user name; keep credentials in UV_INDEX_NAME_PASSWORD"
)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


class NamedIndex(NamedTuple):
    """An index that packages may be assigned to; an ``explicit`` one is asked for these alone."""

    name: str
    url: str
    explicit: bool = False
    default: bool = False
    format: str = "simple"


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """A package and the index that it comes from, where the marker holds."""

    package: str
    index: str
    marker: str = ""


class UvSources(NamedTuple):
    """The indexes by name, the packages that are assigned to one, and those that are code somewhere: name -> requirement."""

    indexes: tuple[NamedIndex, ...] = ()
    packages: tuple[PackageIndex, ...] = ()
    code: Mapping[str, str] | None = None

    def applied(self, lines: Sequence[str]) -> tuple[str, ...]:
        """Return requirement lines of which those that are code name it."""
        return tuple(self._applied(line) for line in lines)

    def _applied(self, line: str) -> str:
        match = re.fullmatch(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?P<extras>\[[^\]]*\])?(?P<rest>.*)", line)
        place = (self.code or {}).get(_normalized(match["name"])) if match else None
        if match is None or place is None:
            return line
        marker = match["rest"].partition(";")[2].strip()
        return f"{match['name']}{match['extras'] or ''} @ {place}" + (f" ; {marker}" if marker else "")


def read_uv_sources(pyproject: Mapping[str, Any], mistakes: list[str]) -> UvSources:
    """Read the tables of uv; what is wrong is added to ``mistakes``."""
    uv = Fields(pyproject, "", mistakes).section("tool").section("uv")
    indexes = tuple(
        NamedIndex(
            index.text("name", _NAME, "it is a name", required=True),
            index.text("url", _INDEX_URL, _URL_RULE, required=True),
            index.flag("explicit", False),
            index.flag("default", False),
            index.choice("format", ("simple", "flat"), "simple"),
        )
        for index in uv.sections("index")
    )
    sources = uv.raw("sources")
    packages: list[PackageIndex] = []
    code: dict[str, str] = {}
    for name, entry in sources.items() if isinstance(sources, Mapping) else ():
        for item in entry if isinstance(entry, list) else [entry]:
            source = Fields(item, f"tool.uv.sources.{name}", mistakes)
            if "index" in source:
                packages.append(
                    PackageIndex(_normalized(name), source.text("index", _NAME), source.text("marker"))
                )
            elif place := _code(source):
                code[_normalized(name)] = place
    known = {index.name for index in indexes}
    mistakes.extend(
        f"`tool.uv.sources.{package.package}` names index `{package.index}`, which `tool.uv.index` does not have"
        for package in packages
        if package.index not in known
    )
    return UvSources(indexes, tuple(packages), code)


def _code(source: Fields) -> str:
    """Return the place that a source names, as it stands in a requirement line."""
    if "git" in source:
        ref = source.text("rev") or source.text("tag") or source.text("branch")
        subdirectory = source.text("subdirectory")
        url = source.text("git").removeprefix("git+")
        return f"git+{url}{f'@{ref}' if ref else ''}{f'#subdirectory={subdirectory}' if subdirectory else ''}"
    if "path" in source:
        path = source.text("path")
        return path if path.startswith(("./", "/", "../")) else f"./{path}"
    if "url" in source:
        return source.text("url")
    source.mistake("", "is not supported; known are `index`, `git`, `path` and `url`")
    return ""


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
