"""What a service says of itself, learnt by importing it in a process of its own."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ...exceptions import BentoMLException, ImportServiceError
from ...process import CommandFailed, run

__all__ = ["REFUSED", "Description", "describe", "import_string_of"]

logger = logging.getLogger(__name__)

# Imports make many objects and no garbage: to look for some meanwhile takes a tenth of the child's time.
_CHILD = "import gc; gc.disable(); from bentoml.builder.described.describe_child import main; main()"
REFUSED = "refused"  # the key of an answer that is nothing but a message


@dataclass(frozen=True, slots=True)
class Description:
    """What a bento records of its services; the ``models`` of each are the tags that its class attributes mean, and
    ``hub_models`` names the models on Hugging Face, by service.

    ``envs`` are those of all services; of a name that several set, the last counts, and the entry service's come last.
    """

    service: str  # as it is imported in the bento
    name: str
    labels: dict[str, str]
    envs: list[dict[str, str]]
    about: str
    schema: dict[str, Any]
    openapi: dict[str, Any]
    services: list[dict[str, Any]]
    hub_models: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    lacks: str = ""  # the library for want of which the service was read instead of imported
    unseen: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)  # the files of the project that were imported
    image: dict[str, Any] = field(default_factory=dict)  # what `Image.declared` gives, if the service has one


def import_string_of(service: str, *, is_src_layout: bool) -> str:
    """Return the ``module:attribute`` under which a bento imports what a build file calls ``service``.

    Raises:
        ImportServiceError: a file is named that lies outside the project.
    """
    module, colon, attribute = (service or "service").partition(":")
    if module.endswith(".py") or "/" in module:
        path = PurePosixPath(module)
        if path.is_absolute() or ".." in path.parts or path.suffix != ".py":
            raise ImportServiceError(
                f"`{service}` is neither a folder nor a service in the project; write `module:Class`, or `file.py:Class` "
                "with the file's path in the project"
            )
        parts = path.with_suffix("").parts
        module = ".".join(parts[1:] if is_src_layout and parts[0] == "src" else parts)
    return f"{module}{colon}{attribute}"


def describe(
    project: Path,
    import_string: str,
    *,
    env: Mapping[str, str],
    is_src_layout: bool = False,
    args: Mapping[str, Any] | None = None,
) -> Description:
    """Import a service in a child process, with its arguments, and return what it says of itself.

    Raises:
        ImportServiceError: its code fails; the message holds the traceback.
        BentoMLException: there is no such service, or it needs a model that is not there.
    """
    environment = {name: value for name, value in env.items() if name != "PYTHONOPTIMIZE"}  # keep docstrings
    if is_src_layout:
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(project / "src"), env.get("PYTHONPATH")])
        )
    # -P: a module of the project must not take the place of one that this library imports before the service.
    command = [sys.executable, "-P", "-c", _CHILD, import_string]
    given = json.dumps(dict(args or {}), default=str).encode()
    try:
        answer = run(command, cwd=project, env=environment, input=given)
    except CommandFailed as e:
        said = e.output.strip() or _how_it_ended(e.returncode)
        raise ImportServiceError(f"the service `{import_string}` cannot be imported:\n{said}") from e
    if not answer:
        raise ImportServiceError(
            f"the service `{import_string}` cannot be imported: its module ends the process"
        )
    data = json.loads(answer)
    if REFUSED in data:
        raise BentoMLException(data[REFUSED])
    found = Description(**data)
    if found.lacks:
        logger.warning("%s", _said(found))
    return found


def _said(found: Description) -> str:
    """Say that the service was read, and what could not be seen."""
    unseen = "".join(f"\n  * {what}" for what in found.unseen)
    return (
        f"`{found.lacks}` is not installed here, so the service `{found.service}` was read instead of imported"
        + (f"; what could not be seen:{unseen}" if unseen else "")
    )


def _how_it_ended(returncode: int) -> str:
    if returncode < 0:
        return f"its process was killed by signal {-returncode}; 9 often means that memory ran out"
    return f"its process ended with exit code {returncode}"
