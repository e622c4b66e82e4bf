"""The child process of `describe`: import a service, print what it says of itself as JSON."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from ...config import Home, environment
from ...exceptions import BentoMLConfigException, ImportServiceError, NotFound
from ...sdk.configuration.arguments import WrongArguments
from ...sdk.dependency import Dependency
from ...sdk.loader import Target, load_target
from ...sdk.openapi import openapi
from ...sdk.service import Service
from .describe import REFUSED
from .static_read import ReadService, read_service

__all__ = ["described", "main"]

# The import system, and this package: the frames between the start of the process and the user's module.
_ON_THE_WAY = ("<frozen ", str(Path(importlib.__file__).parent), str(Path(__file__).parents[2]))


def main() -> None:
    """Print what the service says whose import string the command line has; its arguments come as JSON on stdin."""
    gc.freeze()  # what this library is made of is never garbage
    gc.enable()
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the user's code prints is no part of the answer
    try:
        description = _description(Target(sys.argv[1], Path.cwd(), args=json.load(sys.stdin)))
    except (BentoMLConfigException, ImportServiceError, NotFound, WrongArguments) as e:
        description = {REFUSED: str(e)}
    except SystemExit as e:
        sys.exit(f"its module ends the process: sys.exit({e.code!r})")
    except Exception as e:  # the process ends here
        traceback.print_exception(e.with_traceback(_from_users_code(e)))
        sys.exit(1)
    with answer:
        json.dump(description, answer)
    sys.stdout.flush()
    os._exit(0)  # whatever threads the user's code has started, and at once


def described(service: Service[Any], import_string: str) -> dict[str, Any]:
    """Return the fields of a `Description`."""
    services = list(service.all_services().values())
    return {
        "service": _with_attribute(import_string, service),
        "name": service.name,
        "labels": service.labels,
        "envs": [env for one in reversed(services) for env in one.envs],
        "about": service.description or service.doc or "",
        "schema": service.schema(),
        "openapi": openapi(service, version=None),
        "services": [_entry(one) for one in services],
        "image": service.image.declared() if service.image is not None else {},
        "hub_models": {
            one.name: [model.declared() for model in one.hub_models] for one in services if one.hub_models
        },
    }


def _with_attribute(import_string: str, service: Service[Any]) -> str:
    """Return ``module:attribute``, also where the module alone was named."""
    module = sys.modules.get(import_string)  # it is not there where its source was read
    names = [name for name, value in vars(module).items() if value is service] if module else []
    return (
        import_string if ":" in import_string else f"{import_string}:{(names or [service.inner.__name__])[0]}"
    )


def _entry(service: Service[Any]) -> dict[str, Any]:
    return {
        "name": service.name,
        "service": "",
        "models": sorted({(str(model.tag), model.alias or "") for model in service.models}),
        "dependencies": [_dependency(one) for one in service.dependencies.values()],
        "config": service.config,
    }


def _dependency(dependency: Dependency[Any]) -> dict[str, str]:
    named = {
        "service": dependency.on and dependency.on.name,
        "url": dependency.url,
        "deployment": dependency.deployment,
        "cluster": dependency.cluster,
    }
    return {key: value for key, value in named.items() if value}


def _description(target: Target) -> dict[str, Any]:
    """Return the fields of a `Description`, of a service that is imported, or read where a library of it is not here."""
    try:
        service = load_target(target, home=Home.from_environment(environment()))
    except ModuleNotFoundError as e:
        read = _read(e, target.import_string)
        if read is None:
            raise
        found = described(read.service, target.import_string)
        return {**found, "lacks": str(e.name), "unseen": read.unseen}
    return {**described(service, target.import_string), "modules": _modules_of(target.working_dir)}


def _modules_of(project: Path) -> list[str]:
    """Return the files of the modules that were imported from the project itself, and not from an environment in it."""
    files = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    own = (file for file in files if file.startswith(f"{project}{os.sep}") and file.endswith(".py"))
    return sorted(
        file for file in own if not file.startswith(f"{sys.prefix}{os.sep}") and "site-packages" not in file
    )


def _read(error: ModuleNotFoundError, import_string: str) -> ReadService | None:
    """Return what the source says of a service that needs a library which is not here; None for any other error."""
    top = (error.name or "").partition(".")[0]
    places = [Path.cwd(), *(Path(place) for place in sys.path if Path(place) == Path.cwd() / "src")]
    own = any((place / top).is_dir() or (place / f"{top}.py").is_file() for place in places)
    if not top or own or top in sys.stdlib_module_names or top == "bentoml" or _is_installed(top):
        return None
    try:
        found = (read_service(import_string, place) for place in places)
        return next((one for one in found if one is not None), None)
    except (ImportServiceError, TypeError, ValueError):  # what cannot be read so is told by the import itself
        return None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _from_users_code(error: Exception) -> TracebackType | None:
    """Return the traceback from the user's first frame on; what leads there is of no use to anybody."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_ON_THE_WAY):
        frame = frame.tb_next
    return frame if frame is not None or isinstance(error, SyntaxError) else error.__traceback__
