"""What a bento's folder holds besides its manifest: the files that are written, and the project's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...store import document
from ...store.manifest import BentoInfo
from ..build_file.config import BuildConfig
from ..described.service_image import ImageSteps
from ..docker.docker_files import DockerFiles
from ..docker.dockerfile import DockerfileSpec, base_image_of, entrypoint, lacks_python, render
from ..docker.dockerfile_template import render_template
from ..image.plan import port_of, uses_gpu
from ..packages.lock_platform import requirements_file
from ..packages.project import ProjectRequirements
from .files import SourceFile, copy_files
from .wheel import Wheel

__all__ = ["Contents", "write"]

_EXECUTABLE = ("entrypoint.sh", "setup_script")
_RARE = ("env/docker/setup_script", "env/docker/Dockerfile.template", "env/conda/environment.yml")
# bases that only our own image builder knows; an engine would take them for a name
_OWN_BASES = ("debs:", "oci:", "oci-archive:", "docker-archive:", "rootfs:")


class Contents(NamedTuple):
    """All that the files of a bento depend on, but for the project's own files."""

    info: BentoInfo
    config: BuildConfig
    docker_files: DockerFiles
    requirements: ProjectRequirements
    pins: Mapping[str, str]  # what is installed, by platform
    wheels: tuple[Wheel, ...]  # the runtime, and what the project brings as code
    openapi: Mapping[str, Any]
    about: str  # what the service says of itself
    steps: ImageSteps


def write(contents: Contents, files: Sequence[SourceFile], folder: Path) -> None:
    """Write a bento's files below ``folder``: what each holds depends on the arguments alone."""
    copy_files(files, folder / "src")
    (folder / "src").mkdir(exist_ok=True)
    for path, data in _rendered(contents, folder / "src").items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o755 if target.name in _EXECUTABLE or target.name.startswith("script__") else 0o644)


def _rendered(contents: Contents, source: Path) -> dict[str, bytes]:
    given, conda = contents.docker_files, contents.config.conda
    texts = {
        "README.md": _readme(contents, source / "README.md"),
        "apis/openapi.yaml": document.dump(contents.openapi),
        "apis/schema.json": json.dumps(contents.info.schema, indent=2, ensure_ascii=False) + "\n",
        "env/docker/Dockerfile": _dockerfile(contents),
        "env/docker/entrypoint.sh": entrypoint(),
        "env/docker/setup_script": given.setup_script,
        "env/docker/Dockerfile.template": given.template,
        "env/conda/environment.yml": document.dump(conda.environment()) if conda else "",
        "env/python/requirements.in": contents.info.image["python_requirements"],
    }
    texts |= {requirements_file(p, list(contents.pins)): text for p, text in contents.pins.items()}
    texts |= {f"env/docker/{name}": text for name, text in contents.steps.scripts.items()}
    wheels = {f"env/python/wheels/{wheel.name}": wheel.data for wheel in contents.wheels}
    return {path: text.encode() for path, text in texts.items() if text or path not in _RARE} | wheels


def _dockerfile(contents: Contents) -> str:
    spec, tag = _dockerfile_spec(contents), contents.info.tag
    if not contents.docker_files.template:
        return render(spec)
    return render_template(contents.docker_files.template, spec, name=tag.name, version=tag.version or "")


def _dockerfile_spec(contents: Contents) -> DockerfileSpec:
    docker, requirements = contents.config.docker, contents.requirements
    seen = {v["name"]: v["value"] for v in contents.info.envs if v["stage"] != "build" and v["value"]}
    base = contents.info.image["base_image"]
    if base.startswith("docker://"):
        base = base.partition("@")[0]  # an engine finds an image by its name or its id, not by both
    if base.startswith(_OWN_BASES):
        base = base_image_of(docker.distro, docker.python_version)
    needs_git = ("git",) if requirements.unpacked and "git" not in docker.system_packages else ()
    return DockerfileSpec(
        base_image=base,
        distro=docker.distro,
        python_version=docker.python_version,
        env={**docker.env, **seen},
        secrets=tuple(v["name"] for v in contents.info.envs if v["stage"] == "build"),
        system_packages=(*docker.system_packages, *needs_git),
        models=tuple(sorted({ref.tag for ref in contents.info.all_models})),
        hub_models=tuple(sorted({ref.tag.name for ref in contents.info.hub_models})),
        commands=contents.steps.commands,
        post_commands=contents.steps.post_commands,
        build_include=contents.steps.build_include,
        scripts=tuple(sorted(contents.steps.scripts)),
        is_locked=requirements.is_locked,
        index_url=requirements.python.index_url,
        extra_index_url=requirements.all_extra_indexes,
        find_links=requirements.links_in_bento,
        trusted_host=requirements.python.trusted_host,
        no_index=requirements.python.no_index,
        pip_args=requirements.python.pip_args,
        has_setup_script=bool(docker.setup_script),
        has_conda=bool(contents.config.conda),
        compiles=docker.compile,
        brings_python=not docker.base_image and lacks_python(docker.distro, docker.cuda_version),
        uses_gpu=uses_gpu(contents.info),
        port=port_of(contents.info),
    )


def _readme(contents: Contents, own: Path) -> str:
    """Return the description: the build file's, else the project's own README, else one made of the service's APIs."""
    if contents.config.description:
        return contents.config.description.rstrip() + "\n"
    if own.is_file():
        return own.read_text(encoding="utf-8", errors="replace")
    name = contents.info.tag.name
    apis = [f"- `POST {route['route']}`" for route in contents.info.schema["routes"]]
    about = [contents.about.strip(), ""] if contents.about.strip() else []
    return "\n".join([f"# {name}", "", *about, *apis, "", f"Serve it with `bentoml serve {name}`.", ""])
