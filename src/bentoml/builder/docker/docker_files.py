"""The files of a project that say how its image is made: a script to run in it, a template of its Dockerfile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ...exceptions import BentoMLConfigException, InvalidArgument
from ...paths import under
from ..build_file.config_docker import DockerConfig
from ..build_file.documents import read_script, read_text

__all__ = ["DockerFiles", "read_docker_files"]


class DockerFiles(NamedTuple):
    """The text of the files that the `docker` section names; empty where it names none."""

    setup_script: str = ""
    template: str = ""


def read_docker_files(project: Path, docker: DockerConfig) -> DockerFiles:
    """Read the files.

    Raises:
        BentoMLConfigException: one is missing, lies outside the project, or is not what it has to be.
    """
    script = _read(project, docker.setup_script, "docker.setup_script", read_script)
    if docker.setup_script and not script.startswith("#!"):
        raise BentoMLConfigException(
            f"`docker.setup_script`: `{docker.setup_script}` has to start with the program that runs it, such as `#!/bin/sh`"
        )
    template = _read(project, docker.dockerfile_template, "docker.dockerfile_template", read_text)
    return DockerFiles(script, template)


def _read(project: Path, name: str, key: str, read: Callable[[Path], str]) -> str:
    if not name:
        return ""
    try:
        return read(under(project, name))
    except (InvalidArgument, BentoMLConfigException) as e:
        raise BentoMLConfigException(f"`{key}`: {e}") from e
