"""What a service says of itself, learnt by importing it in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..exceptions import BentoMLException, ImportServiceError
from ..process import CommandFailed, run

__all__ = ["NOT_THE_USERS_CODE", "Description", "describe"]

NOT_THE_USERS_CODE = 3  # the exit code of a child whose last line says all


@dataclass(frozen=True, slots=True)
class Description:
    """What a bento records of its services; ``models`` under a service are the tags that its class attributes mean."""

    service: str  # as it is imported in the bento: `module:Class`
    name: str
    labels: dict[str, str]
    envs: list[dict[str, str]]
    description: str
    schema: dict[str, Any]
    services: list[dict[str, Any]]
    openapi: dict[str, Any] | None


def describe(
    project: Path,
    service: str,
    *,
    env: Mapping[str, str],
    import_path: Path | None = None,
    openapi: str | None = None,
) -> Description:
    """Import ``service`` in a child process and return what it says of itself.

    ``import_path`` is a folder to import from besides the project; ``openapi`` is the ``module:function`` that turns a
    service into its OpenAPI document.

    Raises:
        ImportServiceError: the service cannot be found, or its code fails; the message holds the traceback.
        BentoMLException: what it needs is missing.
    """
    environment = dict(env)
    if import_path is not None:
        environment["PYTHONPATH"] = ":".join(filter(None, [str(import_path), env.get("PYTHONPATH")]))
    # -P: a module of the project must not take the place of one that this library imports before the service.
    command = [sys.executable, "-P", "-m", "bentoml.builder.describe_child", service, openapi or ""]
    try:
        answer = run(command, cwd=project, env=environment)
    except CommandFailed as e:
        if e.returncode == NOT_THE_USERS_CODE:
            raise BentoMLException(e.output.strip()) from e
        raise ImportServiceError(f"the service `{service}` cannot be imported:\n{e.output.strip()}") from e
    return Description(**json.loads(answer))
