"""What `bento.yaml` records of an image, checked once more: it may come from elsewhere, or have been changed by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...exceptions import BentoMLException, InvalidArgument
from ...store.manifest import BentoInfo
from ..build_file.config_docker import VARIABLE
from ..build_file.fields import Fields
from ..oci.model import Platform

__all__ = ["check_recorded", "checked_labels"]

_SHOWN = 10  # mistakes
_VERSION = re.compile(r"\d+(\.\d+){0,2}", re.ASCII)
_INSIDE = re.compile(r"(?!/)(?!(.*/)?\.\.(/|$)).+")
_NO_COMMAND = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # a command may have several lines
_TEXTS = (
    "base_image",
    "distro",
    "index_url",
    "cuda_version",
    "setup_script",
    "dockerfile_template",
    "resolver",
)
_LISTS = ("system_packages", "extra_index_url", "find_links", "trusted_host", "wheels", "unpacked")
_NAME_RULE = "the name of a variable has letters, digits and `_`"


def check_recorded(info: BentoInfo) -> None:
    """Refuse a manifest that says of its image what no build writes, and no engine could do anything with.

    Raises:
        BentoMLException: with each mistake and its key.
    """
    mistakes: list[str] = []
    _read_image(Fields(info.image, "image", mistakes))
    for number, variable in enumerate(info.envs):
        _read_variable(Fields(variable, f"envs[{number}]", mistakes))
    for number, service in enumerate(info.services):
        _read_service(Fields(service, f"services[{number}]", mistakes))
    Fields({"labels": info.labels}, "", mistakes).pairs("labels")
    if mistakes:
        lines = "".join(f"\n  bento.yaml: {mistake}" for mistake in mistakes[:_SHOWN])
        raise BentoMLException(f"no image can be made as bento `{info.tag}` says; build it again:{lines}")


def checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels that somebody gives to an image, each a line of text.

    Raises:
        InvalidArgument: one of them is not; the message names it.
    """
    mistakes: list[str] = []
    found = Fields({"labels": labels}, "", mistakes).pairs("labels")
    if mistakes:
        raise InvalidArgument("; ".join(mistakes[:_SHOWN]))
    return found


def _read_image(image: Fields) -> None:
    for key in _TEXTS:
        image.text(key)
    image.text("python_version", _VERSION, "it looks like `3.11`")
    image.plain("pip_args")
    for key in _LISTS:
        image.texts(key)
    image.texts("build_include", _INSIDE, "it is a path in the bento")
    for key in ("no_index", "compile"):
        image.flag(key, False)
    for name in image.pairs("env"):
        if not VARIABLE.fullmatch(name):
            image.mistake("env", f"holds {name!r}; {_NAME_RULE}")
    for key in ("commands", "post_commands"):
        _read_commands(image, key)
    for platform in (image.text("platform"), *image.texts("platforms"), *image.pairs("base_images")):
        _read_platform(image, platform)


def _read_commands(image: Fields, key: str) -> None:
    commands = image.raw(key) or []
    is_good = isinstance(commands, list | tuple) and all(isinstance(command, str) for command in commands)
    if not is_good:
        image.mistake(key, "has to be a list of commands")
    elif any(_NO_COMMAND.search(command) for command in commands):
        image.mistake(key, "holds a command with control characters")


def _read_platform(image: Fields, platform: str) -> None:
    try:
        Platform.parse(platform or "linux/amd64")
    except ValueError as e:
        image.mistake("platform", str(e))


def _read_variable(variable: Fields) -> None:
    variable.text("name", VARIABLE, _NAME_RULE, required=True)
    variable.plain("value")
    variable.choice("stage", ("all", "build", "runtime"), "all")


def _read_service(service: Fields) -> None:
    config = service.section("config")
    http, port = config.section("http"), config.section("http").raw("port")
    if port is not None and not (isinstance(port, int) and 0 < port < 65536):
        http.mistake("port", "has to be a port, from 1 to 65535")
    gpu = config.section("resources").raw("gpu")
    if gpu is not None and not isinstance(gpu, int | float | str):
        config.section("resources").mistake("gpu", "has to be a number")
