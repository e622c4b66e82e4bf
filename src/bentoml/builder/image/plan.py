"""What the image of a bento will be, decided from the bento's manifest and the user's wishes alone: pure data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...exceptions import BentoMLException, InvalidArgument
from ...registry.reference import Reference
from ...store.manifest import BentoInfo
from ..oci.bases.scheme import scheme_of
from ..oci.model import Platform
from ..oci.parts.place import BENTO, HEALTH, HOME, HUB, UID, VENV

__all__ = [
    "TAG_LABEL",
    "ImagePlan",
    "docker_build_command",
    "locked_platforms",
    "needs_dockerfile",
    "plan_image",
    "port_of",
    "uses_gpu",
    "with_packages",
]

TAG_LABEL = "bentoml.tag"
_PORT = 3000
_LATEST = 8**11 - 1  # the last time that a file in a tar can have, in the year 2242
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
_NEEDS_DOCKERFILE = ("conda", "dockerfile_template")


class ImagePlan(NamedTuple):
    """Say upon what to build, for which machine, under which names, and how a container runs.

    ``env`` and ``labels`` are added to those of the base; ``PATH`` follows from the base's. ``step_env`` is what the steps
    see that run before the Python packages are there, ``secrets`` are the names of variables that no image holds;
    ``brings_python`` means that the base is known to have no Python for a bento, ``runs_below`` that something runs
    before the Python packages are there.
    """

    base: str
    platform: Platform
    python_version: str
    names: tuple[str, ...]
    epoch: int
    system_packages: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    step_env: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    user: str = f"{UID}:{UID}"
    working_dir: str = f"/{BENTO}/src"  # where a bento runs, in a container or not
    entrypoint: tuple[str, ...] = (f"/{BENTO}/env/docker/entrypoint.sh",)
    ports: tuple[str, ...] = (f"{_PORT}/tcp",)
    health: tuple[str, ...] = ()  # the command that says whether a container is well
    uses_gpu: bool = False
    brings_python: bool = False
    runs_below: bool = False

    @property
    def adds_to_base(self) -> bool:
        """Say whether something lies between the base and the Python packages."""
        return bool(self.system_packages) or self.brings_python or self.runs_below


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
        InvalidArgument: a name, the base, the platform or the epoch is not well formed.
        BentoMLException: the bento asks for what cannot be done without running something in the image, or was locked
            for another platform.
    """
    image = info.image
    is_given, machine = base is not None, _platform(info, platform)
    if base is None:
        base = _base(image, machine)
    scheme_of(base)  # here, where no engine was asked for anything
    _check_feasible(info, base)
    names = tuple(names) or (str(info.tag),)
    for name in names:
        if Reference.parse(name).digest:
            raise InvalidArgument(f"`{name}` names an image by its digest; give it a tag, as in `iris:1`")
    return ImagePlan(
        base=with_packages(base, image.get("system_packages") or ()),
        platform=machine,
        python_version=str(image.get("python_version") or ""),
        names=names,
        epoch=_epoch(env),
        system_packages=_system_packages(image, base),
        env=_env(info, requirements),
        step_env={**_PYTHON_ENV, **_docker_env(info), **_declared(info)},
        secrets=tuple(str(variable["name"]) for variable in info.envs if variable.get("stage") == "build"),
        labels=_labels(info),
        ports=(f"{port_of(info)}/tcp",),
        health=(f"/{VENV}/bin/python", "-I", "-S", "-B", f"/{HEALTH}", str(port_of(info))),
        uses_gpu=uses_gpu(info),
        brings_python=base.partition("@")[0] == _AMAZON or bool(image.get("cuda_version") and not is_given),
        runs_below=bool(image.get("setup_script") or image.get("commands")),
    )


def port_of(info: BentoInfo) -> int:
    """Return the port that the entry service names for itself."""
    configs = (
        service.get("config") or {} for service in info.services if service.get("name") == info.entry_service
    )
    return next(
        (int(http["port"]) for config in configs if (http := config.get("http") or {}).get("port")), _PORT
    )


def _check_feasible(info: BentoInfo, base: str) -> None:
    """Refuse what the Dockerfile of the bento alone can say."""
    if keys := needs_dockerfile(info):
        said = ", ".join(f"`{key}`" for key in keys)
        raise BentoMLException(
            f"bento `{info.tag}` asks for {said}, which cannot be done on `{base}` without its Dockerfile; let an engine "
            f"build that, with `--backend buildx` or another, or by hand, with BuildKit: `{docker_build_command(info)}` (or leave it away in the build file, and name in "
            "`docker.base_image` an image in which it is done)"
        )


def needs_dockerfile(info: BentoInfo) -> list[str]:
    """Return what the bento asks for that an engine alone can do, by its Dockerfile."""
    return [key for key in _NEEDS_DOCKERFILE if info.image.get(key)]


def docker_build_command(info: BentoInfo) -> str:
    """Return the command that builds the image of a bento by its Dockerfile, for whoever has an engine that may run things."""
    folder = f'"$(bentoml get {info.tag} -o path)"'
    models = ["--build-context", 'models="${BENTOML_HOME:-$HOME/bentoml}/models"'] if info.all_models else []
    names = [str(variable["name"]) for variable in info.envs if variable.get("stage") == "build"]
    secrets = [word for name in names for word in ("--secret", f"id={name},env={name}")]
    words = ["docker", "build", "-t", str(info.tag), "-f", f"{folder}/env/docker/Dockerfile"]
    return " ".join([*words, *models, *secrets, folder])


def with_packages(base: str, packages: Sequence[str]) -> str:
    """Return the reference of a base of Debian packages with more of them; any other as it is."""
    if not packages or not base.startswith(_DEBS):
        return base
    name, at, digest = base.partition("@")
    return f"{name}{'+' if ':' in name.removeprefix(_DEBS) else ':'}{'+'.join(packages)}{at}{digest}"


def _system_packages(image: Mapping[str, Any], base: str) -> tuple[str, ...]:
    """Return the packages to install upon the base; what is cloned in the image takes git."""
    own = () if base.startswith(_DEBS) else tuple(map(str, image.get("system_packages") or ()))
    return (*own, "git") if image.get("unpacked") and "git" not in own else own


def _base(image: Mapping[str, Any], platform: Platform) -> str:
    """Return the base that the bento names, which for some has another digest on each platform."""
    own = (image.get("base_images") or {}).get(_machine(platform))
    return str(own or image.get("base_image") or f"python:{image.get('python_version')}-slim")


def _platform(info: BentoInfo, wanted: str | None) -> Platform:
    """Return the platform that is wanted, by default the first that the bento's packages are locked for."""
    locked = locked_platforms(info)
    try:
        platform = Platform.parse(wanted or locked[0])
    except ValueError as e:
        raise InvalidArgument(str(e)) from e
    if _machine(platform) not in locked:
        said = " and ".join(f"`{name}`" for name in locked)
        raise BentoMLException(
            f"the packages of bento `{info.tag}` are locked for {said}, not for `{platform}`; "
            f"build it with `bentoml build --platform {','.join([*locked, _machine(platform)])}`"
        )
    return platform


def locked_platforms(info: BentoInfo) -> list[str]:
    """Return the platforms that a bento holds the packages of, as ``linux/amd64``."""
    return list(info.image.get("platforms") or [str(info.image.get("platform") or "linux/amd64")])


def _machine(platform: Platform) -> str:
    return f"{platform.os}/{platform.architecture}"


def _epoch(env: Mapping[str, str]) -> int:
    text = env.get("SOURCE_DATE_EPOCH") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 11 and int(text) <= _LATEST):
        raise InvalidArgument(
            f"SOURCE_DATE_EPOCH is `{text[:50]}`; it has to be a number of seconds since 1970, at most {_LATEST}"
        )
    return int(text)


def _env(info: BentoInfo, requirements: str) -> dict[str, str]:
    """Return the variables of the image; those of stage `build` are secrets of the build, and no part of it.

    One without a value is left to whoever runs the container: the service refuses to start without it.
    """
    gpu = {**_GPU_ENV, **_cuda_of(requirements)} if uses_gpu(info) else {}
    hub = {"BENTOML_HF_CACHE_DIR": f"/{HUB}"} if info.hub_models else {}
    return {**_PYTHON_ENV, **gpu, **_docker_env(info), **_declared(info), **_BENTO_ENV, **hub}


def _cuda_of(requirements: str) -> dict[str, str]:
    """Return what the NVIDIA runtime checks before a container starts: that the driver knows the CUDA of the wheels."""
    found = _CUDA.search(requirements)
    return {"NVIDIA_REQUIRE_CUDA": f"cuda>={found[1]}"} if found else {}


def _declared(info: BentoInfo) -> dict[str, str]:
    return {
        str(variable["name"]): str(variable["value"])
        for variable in info.envs
        if variable.get("stage") != "build" and variable.get("value")
    }


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
        TAG_LABEL: str(info.tag),
    }
    return {**own, **{name: str(text) for name, text in info.labels.items()}}
