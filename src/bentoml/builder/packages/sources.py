"""Requirements that name no version of an index but code itself: a git repository, a folder, an archive, a wheel."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["GitSource", "PathSource", "Source", "parse_source", "source_problem"]

_NAMED = re.compile(
    r"(?:(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[(?P<extras>[^\]]*)\])?\s*@\s*)?(?P<where>\S+?)\s*(?:;\s*(?P<marker>.+))?",
    re.ASCII,
)
_EXTRAS = re.compile(r"(?P<where>.*)\[(?P<extras>[^\]]*)\]")
_PATH = re.compile(r"\.{0,2}/|\.{1,2}$|~|[A-Za-z]:\\|file:|[^\s:]+\.(?:whl|tar\.gz|zip)$")
_VCS = re.compile(r"(git|hg|svn|bzr)\+")
_GIT = re.compile(r"(?P<repository>(?P<scheme>https?|ssh|file|git)://[^/\s]*/[^@\s]+)(?:@(?P<ref>[^\s]+))?")
_REF = re.compile(r"[A-Za-z0-9_][\w./+-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HASH = re.compile(r"\s+--hash[=\s]\s*\S+")
_LINE_OPTION = re.compile(r"\s--(?:config-settings?|global-option)\b")


class GitSource(NamedTuple):
    """A git repository, at a branch, tag or commit (empty: its main branch), and where in it the package lies."""

    line: str
    url: str
    ref: str = ""
    subdirectory: str = ""
    name: str = ""
    extras: str = ""
    marker: str = ""

    @property
    def place(self) -> str:
        """The repository and what is asked of it, as the lock names it."""
        return f"{self.url}@{self.ref or 'HEAD'}"

    @property
    def is_pinned(self) -> bool:
        """Say whether the source names a commit."""
        return bool(_COMMIT.fullmatch(self.ref))

    def at(self, commit: str) -> str:
        """Return the requirement line that names a commit."""
        wanted = f"{self.name}{f'[{self.extras}]' if self.extras else ''} @ " if self.name else ""
        fragment = f"#subdirectory={self.subdirectory}" if self.subdirectory else ""
        return f"{wanted}git+{self.url}@{commit}{fragment}" + (f" ; {self.marker}" if self.marker else "")


class PathSource(NamedTuple):
    """A wheel, an archive of source, or a folder, by its path in the project."""

    line: str
    path: str
    name: str = ""
    extras: str = ""
    marker: str = ""


Source = GitSource | PathSource


def parse_source(line: str) -> Source | None:
    """Return what a requirement line names, or ``None`` for one of an index or a URL; check `source_problem` before."""
    match = _NAMED.fullmatch(_HASH.sub("", line).strip())  # the lock knows the wheel that is made of it
    if match is None:
        return None
    name, extras, where, marker = (match[key] or "" for key in ("name", "extras", "where", "marker"))
    if where.startswith("git+"):
        return _git(line, where.removeprefix("git+"), name, extras, marker)
    if not _PATH.match(where) or "://" in where.removeprefix("file://"):
        return None
    if trailing := _EXTRAS.fullmatch(where):  # ./folder[extra]
        where, extras = trailing["where"], trailing["extras"]
    path = where.removeprefix("file://").removeprefix("file:") if where.startswith("file:") else where
    return PathSource(line, unquote(path) if where.startswith("file:") else path, name, extras, marker)


def source_problem(line: str) -> str | None:
    """Say why a line that names code cannot be part of a bento, or return ``None``."""
    where = line.partition("@")[2].strip() if re.match(r"[\w.-]+\s*(\[[^\]]*\])?\s*@\s", line) else line
    vcs = _VCS.match(where)
    if vcs and vcs[1] != "git":
        return f"requirements from `{vcs[1]}` are not supported; move the package to git or to an index"
    if (vcs or _PATH.match(where)) and _LINE_OPTION.search(line):
        return "a requirement that names code takes no options; its wheel is part of the bento"
    source = parse_source(line)
    if isinstance(source, GitSource):
        return _git_problem(source)
    if isinstance(source, PathSource):
        return _path_problem(source.path)
    return "it cannot be read; write `name @ git+https://HOST/REPOSITORY@REF`" if vcs else None


def _git(line: str, where: str, name: str, extras: str, marker: str) -> GitSource:
    place, _, fragment = where.partition("#")
    found = {key: values[-1] for key, values in parse_qs(fragment).items()}
    match = _GIT.fullmatch(place)
    repository, ref = (match["repository"], match["ref"] or "") if match else (place, "")
    egg = found.get("egg", "").partition("[")[0]
    return GitSource(line, repository, ref, found.get("subdirectory", ""), name or egg, extras, marker)


def _git_problem(source: GitSource) -> str | None:
    match = _GIT.fullmatch(source.url)
    if match is None:
        return (
            "the repository has to be an https, ssh, http, git or file URL: `git+https://HOST/REPOSITORY@REF`"
        )
    parts = urlsplit(source.url)
    if parts.password or (parts.username and parts.scheme != "ssh") or parts.query:
        return "a user name or password would become part of the bento; keep it with git's credential helper"
    if source.ref and (not _REF.fullmatch(source.ref) or ".." in source.ref):
        return f"`{source.ref}` is no branch, tag or commit"
    if source.subdirectory:
        return _path_problem(source.subdirectory)
    return None


def _path_problem(path: str) -> str | None:
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:\\", path):
        return "it is a path of this machine; put the package into the project and name it relative to that"
    if ".." in path.split("/"):
        return "it leaves the project; put the package into the project"
    return None
