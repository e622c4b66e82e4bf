"""Requirement lines: what may stand in one, and how a `requirements.txt` is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..exceptions import BentoMLConfigException
from .fields import without_credentials

__all__ = ["Requirements", "problem_of", "read_requirements", "split_runtime"]

_LOCAL = re.compile(r"(\.{0,2}/|\.{1,2}$|[A-Za-z]:\\|file:|.*@\s*file:|[^\s;@]+\.(whl|tar\.gz|zip)$)")
_GIT = re.compile(r"(.*@\s*)?(git|hg|svn|bzr)\+")
_CREDENTIALS = re.compile(r"://[^/\s]*@")
_COMMENT = re.compile(r"(^|\s)#.*$")
_RUNTIME = re.compile(r"bentoml(?![A-Za-z0-9._-])\s*(\[([^\]]*)\])?", re.IGNORECASE)
_OPTIONS = {
    "-i": "index_url",
    "--index-url": "index_url",
    "--extra-index-url": "extra_index_url",
    "-f": "find_links",
    "--find-links": "find_links",
    "--trusted-host": "trusted_host",
    "--no-index": "no_index",
}


@dataclass(frozen=True, slots=True)
class Requirements:
    """The lines of requirement files, and the index options that stood between them, by the names of the build file."""

    lines: tuple[str, ...] = ()
    options: dict[str, list[str]] = field(default_factory=dict)


def problem_of(line: str) -> str | None:
    """Say why a requirement cannot be part of a bento, or return ``None``."""
    if _GIT.match(line):
        return "requirements from version control are not supported yet; publish the package to an index"
    if _LOCAL.match(line):
        return "a path is not supported yet; put the wheel in a folder and name it in `python.find_links`"
    if _CREDENTIALS.search(line):
        return "a user name or password would become part of the bento; keep it in a netrc file"
    return None


def read_requirements(name: str, read: Callable[[str], str]) -> Requirements:
    """Read a requirements file and those that it includes with ``-r``; ``read`` gives the text of a file by its name.

    Raises:
        BentoMLConfigException: with every line that cannot be part of a bento.
    """
    mistakes: list[str] = []
    lines: list[str] = []
    options: dict[str, list[str]] = {}
    for place, line in _logical_lines(name, read, ()):
        option, value = _split_option(line)
        if not line.startswith("-"):
            if problem := problem_of(line):
                mistakes.append(f"  {place}: `{line}`: {problem}")
            lines.append(line)
        elif option in _OPTIONS:
            options.setdefault(_OPTIONS[option], []).append(value)
        else:
            mistakes.append(
                f"  {place}: `{line}`: this option is not supported; known are {', '.join(_OPTIONS)} and -r"
            )
    if mistakes:
        said = without_credentials("\n".join(mistakes))
        raise BentoMLConfigException(f"`{name}` cannot be part of a bento:\n{said}")
    return Requirements(tuple(lines), options)


def split_runtime(lines: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """Return the lines without `bentoml` itself, which comes as a wheel in the bento, and the extras asked of it."""
    others = []
    extras: set[str] = set()
    for line in lines:
        match = _RUNTIME.match(line)
        if match is None:
            others.append(line)
        elif match[2]:
            extras.update(extra.strip().lower() for extra in match[2].split(","))
    return others, frozenset(extras)


def _logical_lines(
    name: str, read: Callable[[str], str], parents: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Yield each line with its place: continued lines joined, comments dropped, included files in their place."""
    if name in parents:
        raise BentoMLConfigException(
            f"`{name}` includes itself through {' -> '.join(f'`{p}`' for p in parents)}"
        )
    joined = ""
    for number, physical in enumerate(read(name).splitlines(), 1):
        if physical.endswith("\\") and not physical.lstrip().startswith("#"):
            joined += physical[:-1]
            continue
        line = " ".join(_COMMENT.sub("", joined + physical).split())
        joined = ""
        option, value = _split_option(line)
        if option in ("-r", "--requirement"):
            base = name.rpartition("/")[0]
            yield from _logical_lines(f"{base}/{value}" if base else value, read, (*parents, name))
        elif line:
            yield f"{name}:{number}", line


def _split_option(line: str) -> tuple[str, str]:
    """Return an option and its value: ``--name=value``, ``--name value`` and ``-nvalue`` are the same."""
    if line.startswith("--"):
        option, _, value = line.replace("=", " ", 1).partition(" ")
        return option, value.strip()
    return line[:2], line[2:].strip()
