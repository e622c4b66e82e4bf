"""The child process of `describe`: import a service, print what it says of itself as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from ..config import Home, environment
from ..exceptions import ImportServiceError, NotFound
from ..sdk.loader import Target, load_target
from ..sdk.service import Service
from .describe import NOT_THE_USERS_CODE

__all__ = ["described"]


def described(service: Service[Any], import_string: str, openapi: str) -> dict[str, Any]:
    """Return the fields of a `Description`."""
    return {
        "service": import_string,
        "name": service.name,
        "labels": dict(service.labels),
        "envs": service.envs,
        "description": service.description or "",
        "schema": service.schema(),
        "services": [_entry(one) for one in service.all_services().values()],
        "openapi": _function(openapi)(service) if openapi else None,
    }


def _entry(service: Service[Any]) -> dict[str, Any]:
    return {
        "name": service.name,
        "service": "",
        "models": [str(model.tag) for model in service.models],
        "dependencies": [],
        "config": service.config,
    }


def _function(name: str) -> Callable[[Service[Any]], dict[str, Any]]:
    module, _, function = name.partition(":")
    found: Callable[[Service[Any]], dict[str, Any]] = getattr(import_module(module), function)
    return found


def _main(import_string: str, openapi: str) -> None:
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the user's code prints is no part of the answer
    home = Home.from_environment(environment())
    try:
        service = load_target(Target(import_string, Path.cwd(), None), home=home)
    except (ImportServiceError, NotFound) as e:
        sys.stderr.write(f"{e}\n")
        sys.exit(NOT_THE_USERS_CODE)
    with answer:
        json.dump(described(service, import_string, openapi), answer)


if __name__ == "__main__":
    _main(*sys.argv[1:])
