"""The Dockerfile of a bento, for those who build with an engine: one template, filled with values written as data."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import PurePosixPath
from string import Template

from .config import Distro

__all__ = ["DockerfileSpec", "base_image_of", "entrypoint", "render"]

_TEMPLATES = files("bentoml.templates")
_BASES = {
    "debian": "python:{version}-slim",
    "alpine": "python:{version}-alpine",
    "ubi8": "registry.access.redhat.com/ubi8/python-{compact}:1",
    "amazonlinux": "amazonlinux:2",
}
_APT_CACHE = "--mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked "
_INSTALL = {
    "debian": "rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends",
    "alpine": "apk add --no-cache",
    "ubi8": "dnf install --assumeyes",
    "amazonlinux": "yum install --assumeyes",
}


@dataclass(frozen=True, slots=True)
class DockerfileSpec:
    """What the Dockerfile of a bento depends on. ``secrets`` are the names of variables that only the build sees."""

    base_image: str
    distro: Distro = "debian"
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    has_models: bool = False
    is_locked: bool = True
    index_url: str = ""
    extra_index_url: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_host: tuple[str, ...] = ()


def base_image_of(distro: Distro, python_version: str) -> str:
    """Return the image that a distribution's bentos are built upon."""
    return _BASES[distro].format(version=python_version, compact=python_version.replace(".", ""))


def entrypoint() -> str:
    """Return the script that starts a bento in its container."""
    return _TEMPLATES.joinpath("entrypoint.sh").read_text(encoding="utf-8")


def render(spec: DockerfileSpec) -> str:
    """Return the Dockerfile. No value is read as an instruction, a shell word or a variable: each is quoted as data."""
    template = Template(_TEMPLATES.joinpath("Dockerfile.template").read_text(encoding="utf-8"))
    text = template.substitute(
        base_image=spec.base_image.removeprefix("docker://"),
        env="\n".join(f"ENV {name}={_quoted(value)}" for name, value in sorted(spec.env.items())),
        system_packages=_system_packages(spec),
        models="COPY models/ /home/bentoml/models/" if spec.has_models else "",
        links="\n".join(f"COPY {_copied(link)}/ ./{_copied(link)}/" for link in _folders(spec)),
        secrets=_secrets(spec),
        pip_options=_words(_pip_options(spec)),
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def _system_packages(spec: DockerfileSpec) -> str:
    if not spec.system_packages:
        return ""
    cache = _APT_CACHE if spec.distro == "debian" else ""
    return f"RUN {cache}{_secrets(spec)}{_INSTALL[spec.distro]} {shlex.join(spec.system_packages)}"


def _secrets(spec: DockerfileSpec) -> str:
    return "".join(f"--mount=type=secret,id={name},env={name} " for name in spec.secrets)


def _pip_options(spec: DockerfileSpec) -> Iterable[str]:
    if spec.is_locked:
        yield "--require-hashes"
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
