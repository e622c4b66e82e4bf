"""Python packages that have no wheel for the image: an engine builds and installs them there, below the others."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from ...process import run
from ...store.archives.tar import TarEntry
from ..oci.cache import Cache
from ..oci.model import Base
from ..oci.parts.place import VENV
from ..oci.parts.python import PythonRequest
from ..packages.uv_command import uv_command
from .model import FILES, Step, Steps
from .run import with_steps

__all__ = ["split_requirements", "with_compiled", "with_unlocked"]

_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_INDEXES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_KEYRING_PROVIDER")
_UV, _REQUIREMENTS = f"{FILES}/uv", f"{FILES}/requirements.txt"
_PYTHON = f"/{VENV}/bin/python"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def with_compiled(
    base: Base,
    request: PythonRequest,
    names: Collection[str],
    *,
    cache: Cache,
    env: Mapping[str, str],
    offline: bool,
) -> tuple[Base, PythonRequest]:
    """Return the base with the packages of these names, built in it, and the request for all others.

    Raises:
        BentoMLException: one cannot be built, or no engine answers that would do it.
    """
    here, others = split_requirements(request.requirements.read_text("utf-8"), names)
    options = (
        "--no-deps",
        "--require-hashes",
        *(word for name in sorted(names) for word in ("--no-binary", name)),
    )
    with cache.scratch() as scratch:
        steps = _steps(request, here, options, (), "compiled packages: " + ", ".join(sorted(names)), scratch)
        made = with_steps(base, steps, cache=cache, env={**env, **_indexes(request)}, offline=offline)
    rest = cache.folder("requirements") / f"{request.requirements.stem}-{steps.digest().hex[:16]}.txt"
    rest.write_text(others, "utf-8")
    return made, request._replace(requirements=rest)


def with_unlocked(
    base: Base, request: PythonRequest, *, cache: Cache, env: Mapping[str, str], offline: bool
) -> Base:
    """Return the base with all packages of a request, which are resolved and installed in it.

    Raises:
        as `with_compiled` does.
    """
    text = request.requirements.read_text("utf-8")
    with cache.scratch() as scratch:
        steps = _steps(request, text, (), request.wheels, "Python packages", scratch)
        return with_steps(base, steps, cache=cache, env={**env, **_indexes(request)}, offline=offline)


def split_requirements(text: str, names: Collection[str]) -> tuple[str, str]:
    """Return the lines of a requirements file that pin these packages, and all others."""
    wanted = {_normal(name) for name in names}
    here: list[str] = []
    others: list[str] = []
    for block in re.findall(r"(?:[^\n]*\\\n)*[^\n]*\n?", text):
        found = _NAME.match(block)
        (here if found and _normal(found[0]) in wanted else others).append(block)
    return "".join(here), "".join(others)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("==")[0]).lower()


def _steps(
    request: PythonRequest,
    requirements: str,
    options: Iterable[str],
    wheels: Iterable[Path],
    about: str,
    scratch: Path,
) -> Steps:
    """Return what makes the virtual environment, and puts the packages into it."""
    brought = [TarEntry.file(f"{FILES}/wheels/{wheel.name}", wheel) for wheel in wheels]
    files = (
        TarEntry.file(_UV, _uv(request, scratch), mode=0o755),
        TarEntry.file(_REQUIREMENTS, requirements.encode()),
        *brought,
    )
    install = (
        f"/{_UV}", "pip", "install", "--no-config", "--no-progress", "--python", _PYTHON, "--link-mode", "copy", *options,
        *_remote(request.sources().options), "-r", f"/{_REQUIREMENTS}", *(f"/{entry.path}" for entry in brought),
    )  # fmt: skip
    make = (request.target.interpreter, "-m", "venv", "--without-pip", f"/{VENV}")
    runs = (Step(f"{about} (the environment)", make), Step(about, install))
    return Steps(about, runs, files, secrets=tuple(_indexes(request)))


def _indexes(request: PythonRequest) -> dict[str, str]:
    """Return the variables that say where packages come from; they may hold passwords."""
    env = request.sources().env
    return {name: env[name] for name in _INDEXES if env.get(name)}


def _remote(options: Iterable[str]) -> Iterator[str]:
    """Yield the options of uv that mean the same in the image: folders of this machine are not there."""
    words = iter(options)
    for word in words:
        if word != "--find-links":
            yield word
        elif "://" in (link := next(words)):
            yield from (word, link)


def _uv(request: PythonRequest, scratch: Path) -> Path:
    """Return a uv that runs in the image: this machine's own, or the same version for the image's machine."""
    machine = request.target.platform.partition("-")[0]
    if (
        sys.platform == "linux"
        and _MACHINES.get(platform.machine().lower()) == machine
        and "musl" not in request.target.platform
    ):
        return Path(uv_command())
    run(
        [
            uv_command(), "pip", "install", "--quiet", "--no-config", "--target", str(scratch), "--no-deps", "--only-binary", ":all:",
            "--python-platform", request.target.platform, "--python-version", request.target.version, f"uv=={version('uv')}",
        ],
        env=request.sources().env,
    )  # fmt: skip
    return scratch / "bin/uv"
