"""A Dockerfile for engines that do not know `RUN --mount`: the same steps without caches."""

from __future__ import annotations

import re
import shlex

from ...exceptions import BentoMLException

__all__ = ["without_mounts"]

_GAP = r"(?:[ \t]|\\\n)+"
_RUN = re.compile(rf"[ \t]*RUN{_GAP}((?:--\S+{_GAP})+)(.*)", re.IGNORECASE | re.DOTALL)
_FLAG = re.compile(rf"(--\S+){_GAP}")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # other separators of lines are data to an engine
_CONTINUED = re.compile(r"\\[ \t]*\n?$")


def without_mounts(dockerfile: str) -> str:
    """Return a Dockerfile without mounted caches; what a step would have kept in one is removed at its end.

    Raises:
        BentoMLException: it mounts something that is no cache, such as a secret, which only BuildKit can do.
    """
    return "".join(map(_plain, _instructions(dockerfile)))


def _instructions(text: str) -> list[str]:
    """Return the lines of each instruction; comments and empty lines do not end one that goes on."""
    found: list[str] = []
    goes_on = False
    for line in _LINE.findall(text):
        if goes_on:
            found[-1] += line
        else:
            found.append(line)
        is_comment = not line.strip() or line.lstrip().startswith("#")
        goes_on = goes_on if is_comment else bool(_CONTINUED.search(line))
    return found


def _plain(instruction: str) -> str:
    match = _RUN.fullmatch(instruction)
    if match is None:
        return instruction
    flags, body = match.groups()
    mounts = [flag for flag in _FLAG.findall(flags) if flag.startswith("--mount=")]
    others = [flag for flag in _FLAG.findall(flags) if not flag.startswith("--mount=")]
    targets = [shlex.quote(target) + "/*" for mount in mounts if (target := _cache(mount))]
    # a trap, as what stands in the step may end in anything; an argument list is no shell's
    clean = f"trap {shlex.quote('rm -rf ' + ' '.join(targets))} EXIT; " if targets and body[:1] != "[" else ""
    return " ".join(["RUN", *others, clean + body.lstrip()]) if mounts else instruction


def _cache(mount: str) -> str:
    """Return the folder of a mounted cache."""
    words = dict(word.partition("=")[::2] for word in mount.removeprefix("--mount=").split(","))
    kind = words.get("type", "bind")
    if kind != "cache":
        raise BentoMLException(
            f"the Dockerfile has `{mount}`, for which the engine needs BuildKit; leave `DOCKER_BUILDKIT` unset, or "
            "take an engine that has it, such as `buildx`, `podman` or `buildah`"
        )
    return words.get("target") or words.get("dst") or words.get("destination") or ""
