"""Git as a source of packages: which commit a branch or tag is, and the files of a commit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ...exceptions import BentoMLException
from ...process import CommandFailed, run, without_credentials
from .sources import GitSource

__all__ = ["checked_out", "commit_of"]

_TIMEOUT = 600.0
_LINE = re.compile(r"([0-9a-f]{40})\t(\S+)")
_QUIET = (
    "-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false",
    "-c", "protocol.ext.allow=never",
)  # fmt: skip


def commit_of(source: GitSource, env: Mapping[str, str]) -> str:
    """Ask the repository which commit a branch or tag is.

    Raises:
        BentoMLException: the repository does not answer, or has no such branch or tag.
    """
    if source.is_pinned:
        return source.ref
    wanted = source.ref or "HEAD"
    out = _git(source, ["ls-remote", "--", source.url, wanted, f"{wanted}^{{}}"], env)
    refs: dict[str, str] = {name: commit for commit, name in _LINE.findall(out)}
    # an annotated tag is an object of its own; `^{}` is the commit that it means
    for name in (f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", f"refs/heads/{wanted}", wanted):
        if name in refs:
            return refs[name]
    raise BentoMLException(
        f"`{source.url}` has no branch or tag `{wanted}`; a commit has to be written with all of its 40 digits"
    )


def checked_out(source: GitSource, commit: str, folder: Path, env: Mapping[str, str]) -> Path:
    """Put the files of a commit into an empty folder and return where in it the package lies.

    Raises:
        BentoMLException: the repository does not have the commit, or the commit not the subdirectory.
    """
    _git(source, ["clone", "--quiet", "--no-checkout", "--", source.url, str(folder)], env)
    if not _has(folder, commit, env):
        _git(source, ["-C", str(folder), "fetch", "--quiet", "origin", commit], env)
    _git(source, ["-C", str(folder), "checkout", "--quiet", "--detach", commit], env)
    _git(source, ["-C", str(folder), "submodule", "--quiet", "update", "--init", "--recursive"], env)
    package = (folder / source.subdirectory).resolve()
    if not package.is_dir() or not package.is_relative_to(folder.resolve()):
        raise BentoMLException(f"`{source.url}` has no folder `{source.subdirectory}` at {commit}")
    return package


def _has(folder: Path, commit: str, env: Mapping[str, str]) -> bool:
    try:
        run(["git", "-C", str(folder), "cat-file", "-e", f"{commit}^{{commit}}"], env=_environment(env))
    except CommandFailed:
        return False
    return True


def _git(source: GitSource, arguments: list[str], env: Mapping[str, str]) -> str:
    try:
        return run(["git", *_QUIET, *arguments], env=_environment(env), timeout=_TIMEOUT)
    except CommandFailed as e:
        if e.returncode == 127:
            raise BentoMLException(
                f"`{source.line}` needs git; install it, or ask an index for the package"
            ) from e
        said = without_credentials(e.output.strip())
        raise BentoMLException(f"git cannot read `{source.url}`:\n{said}") from e


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which git asks nobody anything and says it in English."""
    return {
        **env,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
    }
