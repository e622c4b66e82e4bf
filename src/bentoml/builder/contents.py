"""What a bento's folder holds besides its manifest: the files that are written, and the project's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..store import document
from ..store.manifest import BentoInfo
from .config import BuildConfig
from .dockerfile import DockerfileSpec, base_image_of, entrypoint, render
from .files import SourceFile, copy_files
from .lock import LockPlatform
from .project import ProjectRequirements
from .wheel import Wheel

__all__ = ["Contents", "image_of", "write"]


_OWN_BASES = (
    "debs:",
    "oci:",
)  # bases that only our own image builder knows; an engine would take them for a name


@dataclass(frozen=True, slots=True)
class Contents:
    """All that the files of a bento depend on, but for the project's own files."""

    info: BentoInfo
    config: BuildConfig
    requirements: ProjectRequirements
    pins: str
    wheel: Wheel
    openapi: Mapping[str, Any]
    about: str  # what the service says of itself


def image_of(
    config: BuildConfig, requirements: ProjectRequirements, platform: LockPlatform
) -> dict[str, Any]:
    """Return the `image` key of `bento.yaml`: what has to lie under the bento in an image."""
    docker = config.docker
    return {
        "base_image": docker.base_image or base_image_of(docker.distro, docker.python_version),
        "python_version": docker.python_version,
        "commands": [],
        "python_requirements": "".join(f"{line}\n" for line in requirements.lines),
        "post_commands": [],
        "build_include": [],
        "distro": docker.distro,
        "system_packages": list(docker.system_packages),
        "env": dict(docker.env),
        "platform": platform.image,
        "index_url": requirements.python.index_url,
        "extra_index_url": list(requirements.python.extra_index_url),
        "find_links": list(requirements.python.find_links),
        "trusted_host": list(requirements.python.trusted_host),
        "no_index": requirements.python.no_index,
    }


def write(contents: Contents, files: Sequence[SourceFile], folder: Path) -> None:
    """Write a bento's files below ``folder``: what each holds depends on the arguments alone."""
    copy_files(files, folder / "src")
    (folder / "src").mkdir(exist_ok=True)
    for path, data in _rendered(contents, folder / "src").items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o755 if target.suffix == ".sh" else 0o644)


def _rendered(contents: Contents, source: Path) -> dict[str, bytes]:
    texts = {
        "README.md": _readme(contents, source / "README.md"),
        "apis/openapi.yaml": document.dump(contents.openapi),
        "apis/schema.json": json.dumps(contents.info.schema, indent=2, ensure_ascii=False) + "\n",
        "env/docker/Dockerfile": render(_dockerfile(contents)),
        "env/docker/entrypoint.sh": entrypoint(),
        "env/python/requirements.in": contents.info.image["python_requirements"],
        "env/python/requirements.txt": contents.pins,
    }
    wheel = {f"env/python/wheels/{contents.wheel.name}": contents.wheel.data}
    return {path: text.encode() for path, text in texts.items()} | wheel


def _dockerfile(contents: Contents) -> DockerfileSpec:
    docker, python = contents.config.docker, contents.requirements.python
    seen = {v["name"]: v["value"] for v in contents.info.envs if v["stage"] != "build" and v["value"]}
    base = contents.info.image["base_image"]
    if base.startswith(_OWN_BASES):
        base = base_image_of(docker.distro, docker.python_version)
    return DockerfileSpec(
        base_image=base,
        distro=docker.distro,
        env={**docker.env, **seen},
        secrets=tuple(v["name"] for v in contents.info.envs if v["stage"] == "build"),
        system_packages=docker.system_packages,
        has_models=bool(contents.info.all_models),
        is_locked=contents.config.python.lock_packages,
        index_url=python.index_url,
        extra_index_url=python.extra_index_url,
        find_links=python.find_links,
        trusted_host=python.trusted_host,
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
