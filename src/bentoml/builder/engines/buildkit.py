"""Whether an engine builds with BuildKit, as caches and secrets of a step need it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ...process import CommandFailed, run
from .model import Engine

__all__ = ["VARIABLE", "has_mounts"]

logger = logging.getLogger(__name__)

VARIABLE = "DOCKER_BUILDKIT"
_OFF = ("0", "f", "false")  # as Go reads a variable that says yes or no
_FIRST_WITHOUT = 23  # from this version on, Docker's client has BuildKit in a plugin that may be missing
_TIMEOUT = 60.0


def has_mounts(engine: Engine, env: Mapping[str, str]) -> bool:
    """Say whether `RUN --mount` may be used: the engine knows it, and nobody has said otherwise."""
    said = env.get(VARIABLE, "").lower()
    if not engine.has_mounts or said in _OFF:
        return False
    if said or engine.name != "docker" or _docker_has_buildkit(engine, env):
        return True
    logger.warning(
        "Docker's client has no BuildKit, as its plugin buildx is missing: the image is built without caches"
    )
    return False


def _docker_has_buildkit(engine: Engine, env: Mapping[str, str]) -> bool:
    client = engine.command[0]
    if _said([client, "buildx", "version"], env) is not None:
        return True
    version = (
        (_said([client, "version", "--format", "{{.Client.Version}}"], env) or "").strip().partition(".")[0]
    )
    return version.isdecimal() and int(version) < _FIRST_WITHOUT


def _said(argv: list[str], env: Mapping[str, str]) -> str | None:
    try:
        return run(argv, env=env, timeout=_TIMEOUT)
    except CommandFailed:
        return None
