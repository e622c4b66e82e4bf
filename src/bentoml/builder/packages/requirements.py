"""Requirement lines: what may stand in one, and how a `requirements.txt` is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ...exceptions import BentoMLConfigException
from ...process import without_credentials
from .pip_args import INDEX_OPTIONS, split_option
from .sources import parse_source, source_problem

__all__ = ["Requirements", "problem_of", "read_requirements", "split_runtime"]

_CREDENTIALS = re.compile(r"://[^/\s]*@")
_COMMENT = re.compile(r"(^|\s)#.*$")
_RUNTIME = re.compile(r"bentoml(?![A-Za-z0-9._-])\s*(\[([^\]]*)\])?", re.IGNORECASE)
_FLAGS = {"--pre": "pre"}
_HARMLESS = ("--require-hashes", "--prefer-binary", "--only-binary")  # what a lock does anyway
_WHY_NOT = {
    "-e": "an editable installation points at a folder of this machine; write the path without `-e`",
    "--editable": "an editable installation points at a folder of this machine; write the path without it",
    "--no-binary": "an image is made of wheels",
}


@dataclass(frozen=True, slots=True)
class Requirements:
    """The lines of requirement files, and the options that stood between them, by the names of the build file.

    ``constraints`` say which version is taken if a package is needed at all.
    """

    lines: tuple[str, ...] = ()
    options: dict[str, list[str]] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    prereleases: bool = False


def problem_of(line: str) -> str | None:
    """Say why a requirement cannot be part of a bento, or return ``None``."""
    if problem := source_problem(line):
        return problem
    if _CREDENTIALS.search(line):
        return "a user name or password would become part of the bento; keep it in a netrc file"
    return None


def read_requirements(name: str, read: Callable[[str], str]) -> Requirements:
    """Read a requirements file and those that it includes with ``-r``; ``read`` gives the text of a file by its name.

    Raises:
        BentoMLConfigException: with every line that cannot be part of a bento.
    """
    reader = _Reader(read)
    reader.read(name)
    if reader.mistakes:
        said = without_credentials("\n".join(reader.mistakes))
        raise BentoMLConfigException(f"`{name}` cannot be part of a bento:\n{said}")
    return Requirements(
        tuple(reader.lines),
        reader.options,
        tuple(reader.constraints),
        "pre" in reader.options.pop("flags", []),
    )


class _Reader:
    """Take requirement files apart, line by line."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self.lines: list[str] = []
        self.constraints: list[str] = []
        self.options: dict[str, list[str]] = {}
        self.mistakes: list[str] = []

    def read(self, name: str) -> None:
        for place, line in _logical_lines(name, self._read, ()):
            option, value = split_option(line)
            if not line.startswith("-"):
                self._line(place, line, self.lines)
            elif option in ("-c", "--constraint"):
                folder = place.rpartition(":")[0].rpartition("/")[0]
                for inner, constraint in _logical_lines(_beside(folder, value), self._read, ()):
                    self._line(inner, constraint, self.constraints)
            elif option in INDEX_OPTIONS:
                self.options.setdefault(INDEX_OPTIONS[option], []).append(value)
            elif option in _FLAGS:
                self.options.setdefault("flags", []).append(_FLAGS[option])
            elif option not in _HARMLESS:
                self.mistakes.append(f"  {place}: `{line}`: {_refusal(option)}")

    def _line(self, place: str, line: str, kept: list[str]) -> None:
        if line.startswith("-"):
            self.mistakes.append(f"  {place}: `{line}`: constraints hold no options")
        elif problem := problem_of(line):
            self.mistakes.append(f"  {place}: `{line}`: {problem}")
        elif kept is self.constraints and parse_source(line):
            self.mistakes.append(f"  {place}: `{line}`: a constraint names versions; make it a requirement")
        kept.append(line)


def _refusal(option: str) -> str:
    known = ", ".join([*INDEX_OPTIONS, "-r", "-c", *_FLAGS, *_HARMLESS])
    return _WHY_NOT.get(option, f"this option is not supported; known are {known}")


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
        option, value = split_option(line)
        if option in ("-r", "--requirement"):
            inner = _beside(name.rpartition("/")[0], value)
            yield from _logical_lines(inner, read, (*parents, name))
        elif line:
            yield f"{name}:{number}", line


def _beside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
