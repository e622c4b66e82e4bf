"""Services that are another program: which one, and the application that passes requests on to it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from ...exceptions import BentoMLConfigException, BentoMLException
from ...sdk.dependency import RESOLVER
from ...sdk.service import Service

__all__ = ["CommandFailed", "command_line", "declared_command", "started_command"]

_PLACEHOLDER = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}|\$(\w+)")
_PORT = re.compile(r"\$(?:PORT\b|\{PORT\b)")
_HEALTH = "/health"
_LOCK = "program.lock"


class CommandFailed(BentoMLException):
    """The program of a service cannot be started, or ends before it answers."""


@asynccontextmanager
async def started_command(
    service: Service[Any],
    instance: Any,
    *,
    env: Mapping[str, str],
    worker_index: int,
    grace: float,
    folder: Path | None,
) -> AsyncIterator[ASGIApp | None]:
    """Run the program of a service while the block runs, and give the application that passes requests on to it.

    Worker 1 runs the program for all workers, or each worker one of its own (``replicate_process``). A program that
    ends is started again, after a pause that grows; meanwhile requests are answered with 503. In the end it has ``grace``
    seconds between SIGTERM and SIGKILL, after the requests of all workers, which share ``folder``.

    Raises:
        CommandFailed: the program ends before it answers for the first time.
        BentoMLConfigException: it has no page that says whether it is well.
    """
    given = declared_command(service, instance)
    if given is None:
        yield None
        return
    from .program import running_program

    settings = service.settings
    own = settings.replicate_process or worker_index == 1
    port = settings.http.proxy_port
    if settings.replicate_process and any(map(_PORT.search, given)):
        port += worker_index - 1
    variables = {**env, "PORT": str(port)}
    argv = command_line(given, variables) if own else None
    health = settings.endpoints.livez or _HEALTH
    lock = None if settings.replicate_process or folder is None else folder / _LOCK
    upstream = f"http://127.0.0.1:{port}"
    async with running_program(argv, upstream, health, variables, grace=grace, lock=lock) as proxy:
        getattr(instance, RESOLVER).remotes["command", None] = proxy
        yield proxy


def declared_command(service: Service[Any], instance: Any) -> list[str] | None:
    """Return the program and its arguments as the service declares them, by ``cmd`` or ``__command__``.

    Raises:
        BentoMLConfigException: that is no list of texts.
    """
    method = getattr(instance, "__command__", None)
    given = service.cmd if service.cmd is not None else method() if method is not None else None
    if given is None:
        return None
    if not isinstance(given, list | tuple) or not given or not all(isinstance(word, str) for word in given):
        raise BentoMLConfigException(
            f"the command of service `{service.name}` is a list of texts such as ['program', '--port', '8000'], not `{given!r}`"
        )
    return list(given)


def command_line(words: list[str], env: Mapping[str, str]) -> list[str]:
    """Return a command with ``$NAME``, ``${NAME}`` and ``${NAME:-default}`` replaced within each argument, and never split."""

    def value(match: re.Match[str]) -> str:
        name, default = match[1] or match[3], match[2]
        return env.get(name) or (default if default is not None else env.get(name, match[0]))

    return [_PLACEHOLDER.sub(value, word) for word in words]
