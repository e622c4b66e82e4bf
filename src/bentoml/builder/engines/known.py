"""The engines that there are: those that everybody may have, and those that a program of the user's added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...exceptions import InvalidArgument
from ...process import CommandFailed, run
from .command_lines import buildah, buildctl, buildx, docker
from .model import Engine, Request
from .options import each

__all__ = ["ENGINES", "add_engine", "engine_of", "get_engine", "is_healthy"]

_HEALTH_TIMEOUT = 60.0

ENGINES = {
    engine.name: engine
    for engine in (
        Engine("docker", ("docker", "build"), docker, ("docker", "version"), pushes=("docker", "push")),
        Engine("buildx", ("docker", "buildx", "build"), buildx, ("docker", "buildx", "version")),
        Engine(
            "podman", ("podman", "build"), buildah, ("podman", "version"),
            runner="podman", pushes=("podman", "push"), plainly=("--tls-verify=false",),
        ),
        Engine(
            "buildah", ("buildah", "build"), buildah, ("buildah", "version"),
            runner="podman", pushes=("buildah", "push"), plainly=("--tls-verify=false",),
        ),
        Engine(
            "nerdctl", ("nerdctl", "build"), docker, ("nerdctl", "version"),
            runner="nerdctl", pushes=("nerdctl", "push"),
        ),
        Engine(
            "buildctl", ("buildctl", "build"), buildctl, ("buildctl", "debug", "workers"),
            loads=("docker", "load", "--input"),
        ),
    )
}  # fmt: skip
_added: dict[str, Engine] = {}


def get_engine(name: str) -> Engine:
    """Return an engine by its name.

    Raises:
        InvalidArgument: there is no such engine.
    """
    engines = {**ENGINES, **_added}
    if name not in engines:
        raise InvalidArgument(
            f"backend `{name}` is not known; there are {', '.join(f'`{known}`' for known in engines)}"
        )
    return engines[name]


def add_engine(engine: Engine) -> None:
    """Let an engine be found in this process; it may take the place of one that is known."""
    _added[engine.name] = engine


def engine_of(
    name: str,
    command: tuple[str, ...],
    construct: Callable[..., Sequence[str]],
    health: Callable[[], bool],
    *,
    has_mounts: bool,
    env: Mapping[str, str],
) -> Engine:
    """Return an engine whose arguments a function constructs of the options, ``tag``, ``file``, ``context_path`` and ``secret``."""

    def arguments(request: Request) -> list[str]:
        given = dict(request.options)
        secrets = (*each("secret", given.pop("secret", None)), *(f"id={s},env={s}" for s in request.secrets))
        own = {"tag": request.names, "file": str(request.dockerfile), "context_path": str(request.context)}
        return list(construct(**{"secret": secrets} if secrets else {}, **given, **own))

    return Engine(name, command, arguments, health, has_mounts, env)


def is_healthy(engine: Engine, env: Mapping[str, str]) -> bool:
    """Say whether an engine can be used: its program is there, and what that needs answers."""
    if callable(engine.health):
        return engine.health()
    try:
        run(engine.health, env=env, timeout=_HEALTH_TIMEOUT)
    except CommandFailed:
        return False
    return True
