"""The image that a service declares in its code, joined with what the build file says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...exceptions import BentoMLConfigException, InvalidArgument
from ...paths import under
from ..build_file.config import BuildConfig, parse_config
from ..build_file.config_docker import DockerConfig
from ..build_file.documents import read_document, read_script

__all__ = ["ImageSteps", "image_steps", "with_image"]


class ImageSteps(NamedTuple):
    """What runs in the image before and after the Python packages, the scripts of it by name, and what they find there."""

    commands: tuple[str, ...] = ()
    post_commands: tuple[str, ...] = ()
    build_include: tuple[str, ...] = ()
    scripts: Mapping[str, str] = {}

    def manifest(self) -> dict[str, Any]:
        """Return what `bento.yaml` says of it."""
        found = {
            "commands": list(self.commands),
            "post_commands": list(self.post_commands),
            "build_include": list(self.build_include),
        }
        return {key: value for key, value in found.items() if value}


def with_image(config: BuildConfig, image: Mapping[str, Any], project: Path) -> BuildConfig:
    """Return the configuration with what the service's image declares; where both name one value, the build file's counts.

    Raises:
        BentoMLConfigException: a value is wrong, or a file is not there; the message names each mistake.
    """
    if not image:
        return config
    said = {key: image[key] for key in ("base_image", "python_version") if image[key]}
    known = image["distro"] if not image["base_image"] or image["packages"] else "debian"
    docker = {**said, "distro": known, "system_packages": image["packages"]}
    declared = parse_config({"docker": docker}, source="the service's image").docker
    own, default = config.docker, DockerConfig()
    python = config.python
    return config._replace(
        docker=own._replace(
            base_image=own.base_image or ("" if own.cuda_version else declared.base_image),
            distro=declared.distro if own.distro == default.distro else own.distro,
            python_version=declared.python_version
            if own.python_version == default.python_version
            else own.python_version,
            system_packages=tuple(dict.fromkeys((*declared.system_packages, *own.system_packages))),
            compile=own.compile or image["bytecode"],
        ),
        python=python._replace(
            image_requirements=_requirements(config, image, project),
            lock_file=image["lock_file"] or python.lock_file,
            lock_packages=python.lock_packages and image["lock_python_packages"],
            pack_git_packages=python.pack_git_packages and image["pack_git_packages"],
        ),
    )


def image_steps(image: Mapping[str, Any], project: Path) -> ImageSteps:
    """Return what the service's image runs.

    Raises:
        BentoMLConfigException: a script or an included file is not there, or lies outside the project.
    """
    if not image:
        return ImageSteps()
    for path in image["build_include_paths"]:
        if not _place(project, path).exists():
            raise BentoMLConfigException(f"the service's image: there is no `{path}` in the project")
    return ImageSteps(
        tuple(image["commands"]),
        tuple(image["post_commands"]),
        tuple(image["build_include_paths"]),
        {name: read_script(_place(project, path)) for name, path in image["scripts"].items()},
    )


def _requirements(config: BuildConfig, image: Mapping[str, Any], project: Path) -> str:
    """Return the text of a requirements file that holds those of the image and of the build file; empty for the latter alone."""
    lines = [*image["requirements"]]
    for path in image["pyprojects"]:
        data = read_document(_place(project, path)).get("project") or {}
        lines += data.get("dependencies") or []
    if not lines:
        return ""
    own = config.python
    lines += [f"-r {own.requirements_txt}"] if own.requirements_txt else own.packages
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _place(project: Path, path: str) -> Path:
    try:
        return under(project, path)
    except InvalidArgument as e:
        raise BentoMLConfigException(f"the service's image: {e}") from e
