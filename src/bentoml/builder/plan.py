"""What the image of a bento will be, decided from the bento's manifest and the user's wishes alone: pure data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..exceptions import BentoMLException, InvalidArgument
from ..registry.reference import Reference
from ..store.manifest import BentoInfo
from .oci.model import Platform
from .oci.parts.place import BENTO, HEALTH, HOME, HUB, UID, VENV

__all__ = ["ImagePlan", "docker_build_command", "plan_image", "uses_gpu"]

_PORT = 3000
_PYTHON_ENV = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
_BENTO_ENV = {
    "VIRTUAL_ENV": f"/{VENV}",
    "BENTO_PATH": f"/{BENTO}",
    "BENTOML_HOME": f"/{HOME}",
    "BENTOML_CONTAINERIZED": "true",
    # an image has no bytecode: what one process has compiled is there for the next, where the user may write
    "PYTHONPYCACHEPREFIX": f"/{HOME}/.cache/python",
    "BENTOML_HOST": "0.0.0.0",  # in a container, what is not published cannot be reached
}
_GPU_ENV = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
_CUDA = re.compile(r"^nvidia-cuda-runtime(?:-cu\d+)?==(\d+\.\d+)", re.MULTILINE)
_DEBS = "debs:"
_AMAZON = "amazonlinux:2"  # has no Python that a bento could use
_NEEDS_ENGINE = (
    "system_packages", "commands", "post_commands", "scripts", "setup_script", "conda", "dockerfile_template", "unpacked",
)  # fmt: skip
_SAID = {"unpacked": "pack_git_packages: false"}  # a key of the manifest by what the user wrote


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """Say upon what to build, for which machine, under which names, and how a container runs.

    ``env`` and ``labels`` are added to those of the base; ``PATH`` follows from the base's.
    """

    base: str
    platform: Platform
    python_version: str
    names: tuple[str, ...]
    epoch: int
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = f"{UID}:{UID}"
    working_dir: str = f"/{BENTO}/src"  # where a bento runs, in a container or not
    entrypoint: tuple[str, ...] = (f"/{BENTO}/env/docker/entrypoint.sh",)
    ports: tuple[str, ...] = (f"{_PORT}/tcp",)
    health: tuple[str, ...] = ()  # the command that says whether a container is well
    uses_gpu: bool = False


def plan_image(
    info: BentoInfo,
    *,
    base: str | None = None,
    names: Sequence[str] = (),
    platform: str | None = None,
    env: Mapping[str, str],
    requirements: str = "",
) -> ImagePlan:
    """Return the plan; without ``names`` the image is called like the bento, ``SOURCE_DATE_EPOCH`` in ``env`` is its time.

    ``requirements`` are those that will be installed: they say which CUDA a service for GPUs needs of the driver.

    Raises:
        InvalidArgument: a name, the platform or the epoch is not well formed.
        BentoMLException: the bento asks for what cannot be done without running something in the image, or was locked
            for another platform.
    """
    image = info.image
    is_given = base is not None
    if base is None:
        base = str(image.get("base_image") or f"python:{image.get('python_version')}-slim")
    _check_feasible(info, base, is_given=is_given)
    names = tuple(names) or (str(info.tag),)
    for name in names:
        if Reference.parse(name).digest:
            raise InvalidArgument(f"`{name}` names an image by its digest; give it a tag, as in `iris:1`")
    return ImagePlan(
        base=_with_packages(base, image.get("system_packages") or ()),
        platform=_platform(info, platform),
        python_version=str(image.get("python_version") or ""),
        names=names,
        epoch=_epoch(env),
        env=_env(info, requirements),
        labels=_labels(info),
        ports=(f"{_port(info)}/tcp",),
        health=(f"/{VENV}/bin/python", "-I", "-S", f"/{HEALTH}", str(_port(info))),
        uses_gpu=uses_gpu(info),
    )


def _port(info: BentoInfo) -> int:
    """Return the port that the entry service names for itself."""
    configs = (service.get("config") or {} for service in info.services if service.get("name") == info.entry_service)
    return next((int(http["port"]) for config in configs if (http := config.get("http") or {}).get("port")), _PORT)


def _check_feasible(info: BentoInfo, base: str, *, is_given: bool) -> None:
    """Refuse what would have to run in the image, where a base made of Debian packages does not bring it."""
    image = info.image
    keys = [key for key in _NEEDS_ENGINE if image.get(key)]
    if base.startswith(_DEBS):
        keys = [key for key in keys if key != "system_packages"]
    if not is_given and image.get("cuda_version"):
        keys.append("cuda_version")
    if base == _AMAZON:
        keys.append("distro: amazonlinux")
    if keys:
        hint = "take `--base-image debs:bookworm`, which brings system packages, or " * (
            keys == ["system_packages"]
        )
        said = ", ".join(f"`{_SAID.get(key, key)}`" for key in keys)
        raise BentoMLException(
            f"bento `{info.tag}` asks for {said}, which cannot be done on `{base}`, as "
            f"nothing is run in the image; {hint}let an engine do it, with BuildKit: `{docker_build_command(info)}` (or leave "
            "it away in the build file, and name in `docker.base_image` an image in which it is done)"
        )


def docker_build_command(info: BentoInfo) -> str:
    """Return the command that builds the image of a bento by its Dockerfile, for whoever has an engine that may run things."""
    folder = f'"$(bentoml get {info.tag} -o path)"'
    models = ["--build-context", 'models="${BENTOML_HOME:-$HOME/bentoml}/models"'] if info.all_models else []
    names = [str(variable["name"]) for variable in info.envs if variable.get("stage") == "build"]
    secrets = [word for name in names for word in ("--secret", f"id={name},env={name}")]
    words = ["docker", "build", "-t", str(info.tag), "-f", f"{folder}/env/docker/Dockerfile"]
    return " ".join([*words, *models, *secrets, folder])


def _with_packages(base: str, packages: Sequence[str]) -> str:
    """Return the reference of a base of Debian packages with more of them."""
    if not packages or not base.startswith(_DEBS):
        return base
    name, at, digest = base.partition("@")
    return f"{name}{'+' if ':' in name.removeprefix(_DEBS) else ':'}{'+'.join(packages)}{at}{digest}"


def _platform(info: BentoInfo, wanted: str | None) -> Platform:
    locked = str(info.image.get("platform") or "linux/amd64")
    try:
        platform = Platform.parse(wanted or locked)
    except ValueError as e:
        raise InvalidArgument(str(e)) from e
    if (platform.os, platform.architecture) != tuple(locked.split("/")[:2]):
        raise BentoMLException(
            f"the packages of bento `{info.tag}` are locked for `{locked}`, not for `{platform}`; "
            f"build it with `bentoml build --platform {platform}`"
        )
    return platform


def _epoch(env: Mapping[str, str]) -> int:
    text = env.get("SOURCE_DATE_EPOCH") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise InvalidArgument(f"SOURCE_DATE_EPOCH is `{text}`; it has to be a number of seconds since 1970")
    return int(text)


def _env(info: BentoInfo, requirements: str) -> dict[str, str]:
    """Return the variables of the image; those of stage `build` are secrets of the build, and no part of it.

    One without a value is left to whoever runs the container: the service refuses to start without it.
    """
    declared = {
        str(variable["name"]): str(variable["value"])
        for variable in info.envs
        if variable.get("stage") != "build" and variable.get("value")
    }
    gpu = {**_GPU_ENV, **_cuda_of(requirements)} if uses_gpu(info) else {}
    hub = {"BENTOML_HF_CACHE_DIR": f"/{HUB}"} if info.hub_models else {}
    return {**_PYTHON_ENV, **gpu, **_docker_env(info), **declared, **_BENTO_ENV, **hub}


def _cuda_of(requirements: str) -> dict[str, str]:
    """Return what the NVIDIA runtime checks before a container starts: that the driver knows the CUDA of the wheels."""
    found = _CUDA.search(requirements)
    return {"NVIDIA_REQUIRE_CUDA": f"cuda>={found[1]}"} if found else {}


def _docker_env(info: BentoInfo) -> dict[str, str]:
    return {str(name): str(value) for name, value in (info.image.get("env") or {}).items()}


def uses_gpu(info: BentoInfo) -> bool:
    """Say whether a service of the bento asks for a GPU."""
    resources = [(service.get("config") or {}).get("resources") or {} for service in info.services]
    return any(r.get("gpu_type") or str(r.get("gpu") or 0) not in ("0", "0.0") for r in resources)


def _labels(info: BentoInfo) -> dict[str, str]:
    own = {
        "org.opencontainers.image.title": info.tag.name,
        "org.opencontainers.image.version": info.tag.version or "",
        "bentoml.tag": str(info.tag),
    }
    return {**own, **info.labels}
