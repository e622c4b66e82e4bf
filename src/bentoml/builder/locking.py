"""What a bento stands on, each thing exactly: its packages and its base image, as `bentofile.lock` has them or found now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..store.digest import Digest
from ..store.staging import Staging
from .contents.wheel import runtime_requirements
from .image.plan import with_packages
from .job import Job
from .oci.model import Platform
from .packages.indexes import Indexes, pip_settings
from .packages.lock import (
    LockMode,
    LockPlatform,
    LockRequest,
    Resolver,
    lock_requirements,
    read_lock_file,
    split_wheels,
)
from .packages.lock_bases import FindDigest, base_digests
from .packages.pack import Packed, Packer, pinned_commits
from .packages.packed_wheel import PackedWheel, fitting
from .packages.pip_tools_resolver import PipToolsResolver
from .packages.project import ProjectRequirements
from .packages.sources import PathSource
from .packages.uv_resolver import UvResolver

__all__ = ["Locked", "lock_packages", "lock_request", "pack", "with_base"]


class Locked(NamedTuple):
    """What is installed: the content of `requirements.txt` for each platform, and the wheels that lie beside it."""

    pins: Mapping[str, str]
    wheels: tuple[Path, ...] = ()

    @property
    def text(self) -> str:
        """The pins of all platforms."""
        return "".join(self.pins.values())


def pack(job: Job, requirements: ProjectRequirements) -> Packed:
    """Return the wheels of the code that the project requires, and those that it names."""
    options, sources = job.options, requirements.sources
    known = read_lock_file(job.lock_file).commits if sources else {}
    commits = pinned_commits(sources, known, options.lock_mode, job.env, offline=options.offline)
    indexes = Indexes.choose(requirements.python, pip_settings(job.env), job.project)
    staging = Staging(job.home).folder
    packer = Packer(job.project, job.home.cache / "wheels", staging, job.env, indexes, options.offline)
    named = (packer.pack(PathSource(name, name), {}) for name in requirements.python.wheels)
    return Packed((*named, *(packer.pack(source, commits) for source in sources)), commits)


def lock_packages(
    job: Job,
    python_version: str,
    requirements: ProjectRequirements,
    packed: Packed,
    platforms: Sequence[LockPlatform],
    resolver: Resolver | None = None,
) -> Locked:
    """Return what is installed on each platform; ``resolver`` is by default the one that the project wants.

    It is locked, or holds the requirements as they are written if the build file wants no lock.

    Raises:
        BentoMLException: there is no solution, or the lock would change and may not.
    """
    own = {one: packed._replace(wheels=fitting(packed.wheels, one, python_version)) for one in platforms}
    if not requirements.is_locked:
        text = _as_written(requirements, packed)
        return Locked({platform.image: text for platform in platforms}, _files(packed.wheels))
    resolver = resolver or _resolver(job, requirements)
    pins: dict[str, str] = {}
    used: list[PackedWheel] = []
    for platform in platforms:
        request = lock_request(job, python_version, requirements, own[platform], platform)
        text = lock_requirements(request, job.lock_file, resolver, job.options.lock_mode)
        pins[platform.image], wheels = split_wheels(text, own[platform].wheels)
        used += wheels
    return Locked(pins, _files(used))


def lock_request(
    job: Job, python_version: str, requirements: ProjectRequirements, packed: Packed, platform: LockPlatform
) -> LockRequest:
    """Return what has to be resolved for the project's requirements and those of the runtime."""
    python = requirements.python
    return LockRequest(
        requirements=_lines(requirements),
        python_version=python_version,
        platform=platform,
        indexes=Indexes.choose(python, pip_settings(job.env), job.project),
        declared=Indexes.choose(python, {}, Path()),
        wheels=packed.wheels,
        commits={place: commit for place, commit in packed.commits.items() if not place.endswith(commit)},
        constraints=requirements.constraints,
        checked=requirements.checked,
        prereleases=requirements.prereleases,
        no_deps="--no-deps" in python.pip_args,
        sources=requirements.uv,
        resolver="" if python.resolver == "uv" else python.resolver,
        offline=job.options.offline,
    )


def with_base(
    job: Job,
    image: dict[str, Any],
    platforms: Sequence[LockPlatform],
    *,
    asks: bool,
    find: FindDigest | None = None,
) -> dict[str, Any]:
    """Return what `bento.yaml` says of the image, with the digest of its base, or that of each platform, if it is known.

    Without ``asks`` it is known only if the lock has it; ``find`` is by default who asks registries now.
    """
    options, base = job.options, image["base_image"]
    mode: LockMode = (
        "update" if options.update_base else "locked" if options.lock_mode == "locked" else "reuse"
    )
    machines = [Platform.parse(platform.image) for platform in platforms]
    reference = with_packages(base, image["system_packages"])
    find = (find or _asked_now(job)) if asks else _nobody
    digests = base_digests(reference, machines, job.lock_file, find, mode)
    pinned = {str(platform): f"{base}@{digest}" for platform, digest in digests.items()}
    if len(pinned) == len(platforms) and len(set(pinned.values())) == 1:
        return {**image, "base_image": next(iter(pinned.values()))}
    return {**image, **({"base_images": pinned} if pinned else {})}


def _nobody(reference: str, platform: Platform) -> Digest | None:
    return None


def _as_written(requirements: ProjectRequirements, packed: Packed) -> str:
    unpacked = (source.line for source in requirements.unpacked)
    extras = (f"{wheel.name}[{wheel.extras}]" for wheel in packed.wheels if wheel.extras)
    return "".join(f"{line}\n" for line in (*_lines(requirements), *extras, *unpacked))


def _lines(requirements: ProjectRequirements) -> tuple[str, ...]:
    return tuple(sorted({*requirements.lines, *runtime_requirements(requirements.extras)}))


def _files(wheels: Sequence[PackedWheel]) -> tuple[Path, ...]:
    return tuple(sorted({wheel.file for wheel in wheels}))


def _resolver(job: Job, requirements: ProjectRequirements) -> Resolver:
    """Return the resolver that the project wants; what it leaves behind if it is killed lies where the store cleans."""
    kind = PipToolsResolver if requirements.python.resolver == "pip-tools" else UvResolver
    return kind(job.env, Staging(job.home).folder)


def _asked_now(job: Job) -> FindDigest:
    def find(reference: str, platform: Platform) -> Digest | None:
        from .oci.bases.pins import BaseDigests

        options = job.options
        digests = BaseDigests(job.home.cache / "oci", job.env, options.offline, insists=options.update_base)
        return digests.find(reference, platform)

    return find
