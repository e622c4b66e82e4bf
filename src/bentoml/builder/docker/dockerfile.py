"""The Dockerfile of a bento, for those who build with an engine: one template, filled with values written as data."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import PurePosixPath
from string import Template
from typing import NamedTuple

from ...tag import Tag
from ..build_file.config_docker import Distro
from ..oci.parts.place import HUB
from .cuda import cuda_image

__all__ = ["BLOCKS", "DockerfileSpec", "base_image_of", "blocks", "entrypoint", "lacks_python", "render"]

BLOCKS = (
    "SETUP_BENTO_BASE_IMAGE",
    "SETUP_BENTO_USER",
    "SETUP_BENTO_ENVARS",
    "SETUP_BENTO_COMPONENTS",
    "SETUP_BENTO_ENTRYPOINT",
)  # the parts of the Dockerfile that a user's template may replace, by the names that BentoML gave them

_TEMPLATES = files("bentoml.templates")
_BASES = {
    "debian": "python:{version}-slim",
    "alpine": "python:{version}-alpine",
    "ubi8": "registry.access.redhat.com/ubi8/python-{compact}:1",
    "amazonlinux": "amazonlinux:2",
}
_CACHES = {
    "debian": ("/var/cache/apt", "/var/lib/apt/lists"),
    "alpine": (),
    "ubi8": ("/var/cache/dnf",),
    "amazonlinux": ("/var/cache/yum",),
}  # what a package manager fetches, which is kept between builds and never part of an image
_INSTALL = {
    "debian": "rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends",
    "alpine": "apk add --no-cache",
    "ubi8": "dnf install --assumeyes",
    "amazonlinux": "yum install --assumeyes",
}
_UV, _MICROMAMBA = "ghcr.io/astral-sh/uv:0.9", "mambaorg/micromamba:2.3"  # each one program without libraries
_PYTHON = f"COPY --from={_UV} /uv /usr/local/bin/uv\nENV UV_PYTHON_INSTALL_DIR=/app/python"
_CONDA = f"""\
COPY --from={_MICROMAMBA} /bin/micromamba /usr/local/bin/micromamba
COPY env/conda/environment.yml ./env/conda/environment.yml
RUN {{mounts}}{{exports}}micromamba create --yes --prefix /opt/conda --file env/conda/environment.yml python={{version}} pip \\
    && micromamba clean --all --yes"""
_SETUP = (
    "COPY env/docker/setup_script ./env/docker/setup_script\nRUN {mounts}{exports}./env/docker/setup_script"
)
_COMPILE = r"""
RUN /app/.venv/bin/python -m compileall -q -j 0 -x '/(tests?|idlelib|lib2to3|turtledemo|ensurepip|tkinter|(site|dist)-packages)/' \
        "$(/app/.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    || echo 'not all of Python could be compiled'"""  # Python's own library: pip compiles what it installs


class DockerfileSpec(NamedTuple):
    """What the Dockerfile of a bento depends on. ``secrets`` are the names of variables that only the build sees.

    With ``brings_python`` the base has no Python of the wanted version, and one is put into the image; with ``compiles``
    Python's own library is compiled, too, and not the packages alone, which pip compiles.
    """

    base_image: str
    distro: Distro = "debian"
    python_version: str = "3.11"
    env: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    models: tuple[Tag, ...] = ()
    hub_models: tuple[
        str, ...
    ] = ()  # the names of those on Hugging Face, which a container fetches when it starts
    commands: tuple[str, ...] = ()
    post_commands: tuple[str, ...] = ()
    build_include: tuple[str, ...] = ()  # paths below `src` that are there before the packages
    scripts: tuple[str, ...] = ()  # files in `env/docker` that the commands run
    is_locked: bool = True
    index_url: str = ""
    extra_index_url: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_host: tuple[str, ...] = ()
    no_index: bool = False
    pip_args: tuple[str, ...] = ()
    has_setup_script: bool = False
    has_conda: bool = False
    brings_python: bool = False
    compiles: bool = False
    uses_gpu: bool = False
    port: int = 3000


def base_image_of(distro: Distro, python_version: str, cuda_version: str = "") -> str:
    """Return the image that a distribution's bentos are built upon."""
    if cuda_version:
        return cuda_image("ubi8" if distro == "ubi8" else "debian", cuda_version)
    return _BASES[distro].format(version=python_version, compact=python_version.replace(".", ""))


def lacks_python(distro: str, cuda_version: str) -> bool:
    """Say whether the image that `base_image_of` names has no Python that a bento could use."""
    return bool(cuda_version) or distro == "amazonlinux"


def entrypoint() -> str:
    """Return the script that starts a bento in its container."""
    return _TEMPLATES.joinpath("entrypoint.sh").read_text(encoding="utf-8")


def render(spec: DockerfileSpec) -> str:
    """Return the Dockerfile. No value is read as an instruction, a shell word or a variable: each is quoted as data."""
    head, parts = _parts(spec)
    return _tidy("\n\n".join([head, *parts.values()])) + "\n"


def blocks(spec: DockerfileSpec) -> tuple[str, dict[str, str]]:
    """Return what stands before the first block, and each block by its name."""
    head, parts = _parts(spec)
    return _tidy(head), {name: _tidy(text) for name, text in parts.items()}


def _parts(spec: DockerfileSpec) -> tuple[str, dict[str, str]]:
    template = _TEMPLATES.joinpath("Dockerfile.template").read_text(encoding="utf-8")
    head, *sections = re.split(r"^#: ", template, flags=re.MULTILINE)
    values = _values(spec)
    texts = (section.partition("\n") for section in sections)
    return Template(head).substitute(values), {
        name: Template(text).substitute(values).strip("\n") for name, _, text in texts
    }


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def _values(spec: DockerfileSpec) -> dict[str, str]:
    mounts, exports = _mounts(spec), _exports(spec)
    return {
        "base_image": spec.base_image.removeprefix("docker://"),
        "env": "\n".join(f"ENV {name}={_quoted(value)}" for name, value in sorted(spec.env.items())),
        "gpu": "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility"
        if spec.uses_gpu
        else "",
        "system_packages": _system_packages(spec),
        "models_stage": "FROM scratch AS models\nCOPY models/ /" if spec.models else "",
        "models": "\n".join([*map(_model, spec.models), *_hub_models(spec)]),
        "setup_script": _SETUP.format(mounts=mounts, exports=exports) if spec.has_setup_script else "",
        "conda": _CONDA.format(mounts=mounts, exports=exports, version=spec.python_version)
        if spec.has_conda
        else "",
        "commands": "\n".join([*_scripts(spec), *_runs(spec.commands, spec)]),
        "post_commands": "\n".join(_runs(spec.post_commands, spec)),
        "build_include": "\n".join(f"COPY src/{_literal(path)} ./src/{path}" for path in spec.build_include),
        "links": "\n".join(f"COPY {_copied(link)}/ ./{_copied(link)}/" for link in _folders(spec)),
        "mounts": mounts,
        "exports": exports,
        "python": _PYTHON if spec.brings_python and not spec.has_conda else "",
        "virtual_environment": _virtual_environment(spec),
        "pip_options": _words(_pip_options(spec)),
        "requirements": _requirements(spec),
        "compile": _COMPILE if spec.compiles else "",
        "path": "/opt/conda/bin:" if spec.has_conda else "",
        "port": str(spec.port),
        "python_version": spec.python_version,
    }


def _model(tag: Tag) -> str:
    place = f"{tag.name}/{tag.version}/"
    return f"COPY --from=models /{place} /home/bentoml/models/{place}"


def _hub_models(spec: DockerfileSpec) -> list[str]:
    if not spec.hub_models:
        return []
    names = ", ".join(spec.hub_models)
    return [
        f"# {names}: fetched from Hugging Face when the container starts, at the commit that `bento.yaml` names",
        f"ENV BENTOML_HF_CACHE_DIR=/{HUB}",
    ]


def _scripts(spec: DockerfileSpec) -> Iterable[str]:
    return (f"COPY env/docker/{name} ./env/docker/{name}" for name in spec.scripts)


def _runs(commands: Iterable[str], spec: DockerfileSpec) -> list[str]:
    """Return an instruction for each command. What is no plain line is written as an argument list, where it stays data."""
    mounts, exports = _mounts(spec), _exports(spec)
    return [
        f"RUN {mounts}{exports}{command}"
        if _is_plain(command)
        else f"RUN {mounts}{_shell(f'{exports}{command}')}"
        for command in map(str.strip, commands)
    ]


def _is_plain(command: str) -> bool:
    return (
        "\n" not in command and not command.endswith("\\") and command[0] not in "[-<" and "<<" not in command
    )


def _shell(command: str) -> str:
    return json.dumps(["/bin/sh", "-c", command], ensure_ascii=False)


def _system_packages(spec: DockerfileSpec) -> str:
    if not spec.system_packages:
        return ""
    caches = "".join(f"--mount=type=cache,target={place},sharing=locked " for place in _CACHES[spec.distro])
    words = f"{_INSTALL[spec.distro]} {shlex.join(spec.system_packages)}"
    return f"RUN {caches}{_mounts(spec)}{_exports(spec)}{words}"


def _mounts(spec: DockerfileSpec) -> str:
    return "".join(f"--mount=type=secret,id={name} " for name in spec.secrets)


def _exports(spec: DockerfileSpec) -> str:
    """Return what makes the secrets variables of one step: by hand, as older engines cannot mount one as a variable."""
    return "".join(
        f'[ ! -f /run/secrets/{name} ] || export {name}="$(cat /run/secrets/{name})"; '
        for name in spec.secrets
    )


def _literal(path: str) -> str:
    """Return a path for `COPY`, which takes its sources for patterns."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _virtual_environment(spec: DockerfileSpec) -> str:
    if spec.has_conda:
        return "/opt/conda/bin/python -m venv --system-site-packages /app/.venv"
    if spec.brings_python:
        return f"uv venv --seed --managed-python --python {spec.python_version} /app/.venv"
    return "python3 -m venv /app/.venv"


def _requirements(spec: DockerfileSpec) -> str:
    """Return what pip installs: the wheels of the bento in a step of their own where all that they need is locked."""
    if not spec.is_locked:
        return "--requirement env/python/requirements.txt env/python/wheels/*.whl"
    wheels = "/app/.venv/bin/python -m pip install --no-deps --no-index env/python/wheels/*.whl"
    return f"--requirement env/python/requirements.txt \\\n    && {wheels}"


def _pip_options(spec: DockerfileSpec) -> Iterable[str]:
    if spec.is_locked:
        yield from ("--no-deps", "--require-hashes")
    yield from (word for word in spec.pip_args if word not in ("--no-deps", "--require-hashes"))
    if "--no-deps" in spec.pip_args and not spec.is_locked:
        yield "--no-deps"
    if spec.no_index:
        yield "--no-index"
    if spec.index_url:
        yield f"--index-url={spec.index_url}"
    yield from (f"--extra-index-url={url}" for url in spec.extra_index_url)
    folders = _folders(spec)
    yield from (f"--find-links={_copied(link) if link in folders else link}" for link in spec.find_links)
    yield from (f"--trusted-host={host}" for host in spec.trusted_host)


def _folders(spec: DockerfileSpec) -> list[str]:
    """Return the folders of the project that hold packages."""
    return [link for link in spec.find_links if "://" not in link]


def _copied(link: str) -> str:
    return str(PurePosixPath("src", link))


def _words(words: Iterable[str]) -> str:
    return "".join(f"{shlex.quote(word)} " for word in words)


def _quoted(value: str) -> str:
    r"""Return a value for `ENV`, which reads ``\``, ``"`` and ``$`` specially between double quotes."""
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'
