"""The service of a project: where its build file says it is, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...config import Home
from ...exceptions import ImportServiceError
from ..build_file.config import BuildConfig
from .describe import Description, describe, import_string_of

__all__ = ["describe_project"]


def describe_project(project: Path, config: BuildConfig, home: Home, env: Mapping[str, str]) -> Description:
    """Return what the service of a project says of itself; its code runs in a child process.

    Raises:
        ImportServiceError: the project has no service, or its code fails; the message holds the traceback.
        BentoMLException: there is no such service, or it needs a model that is not there.
    """
    is_src_layout = config.python.is_src_layout
    places = [project, project / "src"] if is_src_layout else [project]
    modules = ("service.py", "service/__init__.py")
    if not config.service and not any((place / module).is_file() for place in places for module in modules):
        raise ImportServiceError(
            f"`{project}` has no `service.py`, and its build file names no `service`; write `service: module:Class`"
        )
    import_string = import_string_of(config.service, is_src_layout=is_src_layout)
    env = {**env, "BENTOML_HOME": str(home.root)}
    return describe(project, import_string, env=env, is_src_layout=is_src_layout, args=config.args)
