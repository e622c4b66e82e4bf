"""The `docker` section of a build file: what lies under the Python packages in the image."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from ...exceptions import InvalidArgument
from ..docker.cuda import CUDA_VERSIONS
from ..oci.bases.scheme import scheme_of
from .fields import Fields

__all__ = ["DOCKER_KEYS", "PYTHON_VERSION", "VARIABLE", "Distro", "DockerConfig", "read_docker"]

logger = logging.getLogger(__name__)

Distro = Literal["debian", "alpine", "ubi8", "amazonlinux"]

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IMAGE = re.compile(r"(?!docker://(?![A-Za-z0-9]))[A-Za-z0-9][\w./:@~+-]*", re.ASCII)
_SYSTEM_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.:~_=-]*")
PYTHON_VERSION = re.compile(r"3\.(1[1-9])(\.\d+)?")
_FILE = re.compile(r"(?!/|~|(.*/)?\.\.(/|$)).+")

DOCKER_KEYS = (
    "base_image", "distro", "python_version", "cuda_version", "system_packages", "env", "setup_script",
    "dockerfile_template", "compile",
)  # fmt: skip


class DockerConfig(NamedTuple):
    """What lies under the Python packages in the image; an empty ``base_image`` means the distribution's own.

    ``setup_script`` and ``dockerfile_template`` are paths of files of the project; ``compile`` says whether bytecode lies
    in the image.
    """

    base_image: str = ""
    distro: Distro = "debian"
    python_version: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    cuda_version: str = ""
    system_packages: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    setup_script: str = ""
    dockerfile_template: str = ""
    compile: bool = False


def read_docker(fields: Fields) -> DockerConfig:
    """Read the section; what is wrong is noted there."""
    fields.check_keys(DOCKER_KEYS)
    distro: Distro = fields.choice("distro", get_args(Distro), "debian")  # type: ignore[assignment]  # one of Distro
    base_image = _base_image(fields)
    cuda_version = _cuda_version(fields, distro)
    if base_image and cuda_version:
        logger.warning("docker.cuda_version is not used, as docker.base_image names `%s`", base_image)
        cuda_version = ""
    return DockerConfig(
        base_image=base_image,
        distro=distro,
        python_version=_python_version(fields) or DockerConfig().python_version,
        cuda_version=cuda_version,
        system_packages=fields.texts("system_packages", _SYSTEM_PACKAGE, "it is no name of a package"),
        env=_env(fields),
        setup_script=fields.text("setup_script", _FILE, "it is the path of a script in the project"),
        dockerfile_template=fields.text(
            "dockerfile_template", _FILE, "it is the path of a file in the project"
        ),
        compile=fields.flag("compile", False),
    )


def _base_image(fields: Fields) -> str:
    text = fields.text("base_image", _IMAGE, "it looks like `registry/repository:tag`, without spaces")
    if text:
        try:
            scheme_of(text)
        except InvalidArgument as e:
            fields.mistake("base_image", str(e).replace(f"`{text}`", f"is {text!r}, which", 1))
    return text


def _cuda_version(fields: Fields, distro: Distro) -> str:
    text = fields.plain("cuda_version")
    if not text:
        return ""
    if text not in CUDA_VERSIONS:
        fields.mistake("cuda_version", f"is {text!r}; it is one of {', '.join(CUDA_VERSIONS)}")
        return ""
    if distro not in ("debian", "ubi8"):
        fields.mistake(
            "cuda_version",
            f"has no image for `{distro}`; take `distro: debian` or `ubi8`, or name a `base_image`",
        )
    return CUDA_VERSIONS[text]


def _python_version(fields: Fields) -> str:
    value = fields.plain("python_version")
    match = PYTHON_VERSION.fullmatch(value)
    if value and match is None:
        rule = "the runtime needs 3.11 or later" + (
            "; write it in quotes, as '3.10' is not 3.1" if value == "3.1" else ""
        )
        fields.mistake("python_version", f"is {value!r}; {rule}")
    if match and match[2]:
        logger.warning(
            "docker.python_version %s: the patch level is the base image's; using 3.%s", value, match[1]
        )
    return f"3.{match[1]}" if match else ""


def _env(fields: Fields) -> dict[str, str]:
    if isinstance(fields.raw("env"), list):
        lines = fields.texts("env", re.compile(r"[^=]+=.*"), "it looks like `NAME=value`")
        variables = dict(line.partition("=")[::2] for line in lines)
    else:
        variables = fields.pairs("env")
    for name in variables:
        if not VARIABLE.fullmatch(name):
            fields.mistake("env", f"holds {name!r}; the name of a variable has letters, digits and `_`")
    return variables
