"""Project -> bento: everything that a service needs, put together under a tag that its content decides."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..config import Home
from ..store.bentos import Bento, BentoStore
from ..store.manifest import BentoInfo
from ..store.models import ModelStore
from ..tag import Tag
from .build_file.config import BuildConfig
from .contents.context import check_included, check_links, tell_left_out, tell_size
from .contents.files import SourceFile
from .contents.folder import Contents, write
from .contents.hub_models import hub_models, tell_missing_library
from .contents.manifest import bento_info, bento_name, image_of
from .contents.project_files import check_holds_service, project_files
from .contents.wheel import Wheel, runtime_wheel
from .described.describe import Description
from .described.project_service import describe_project
from .described.service_image import ImageSteps, image_steps, with_image
from .docker.cuda import wheels_of_cuda
from .docker.docker_files import DockerFiles, read_docker_files
from .docker.dockerfile import base_image_of
from .job import DEFAULTS, BuildOptions, Job
from .locking import Locked, lock_packages, pack, with_base
from .packages.lock import LockPlatform, Resolver
from .packages.lock_bases import FindDigest
from .packages.pack import Packed
from .packages.project import ProjectRequirements, project_requirements

__all__ = ["build"]

logger = logging.getLogger(__name__)


class _Asked(NamedTuple):
    """What a project asks for by its build file and its service, read and checked; nothing was fetched for it yet."""

    config: BuildConfig
    description: Description
    steps: ImageSteps
    docker_files: DockerFiles
    requirements: ProjectRequirements
    platforms: Sequence[LockPlatform]
    tag: Tag


def build(
    project: Path,
    config: BuildConfig,
    *,
    home: Home,
    env: Mapping[str, str],
    options: BuildOptions = DEFAULTS,
    resolver: Resolver | None = None,
    find_digest: FindDigest | None = None,
) -> Bento:
    """Build a bento from a project and store it; the same content gives the same tag, on any machine.

    ``resolver`` and ``find_digest`` (of base images) ask others than the indexes and registries of the world.

    Nothing is stored, and no lock written, unless the service can be imported and its models are there.

    Raises:
        BentoMLException: the service cannot be imported, a model or file is missing, the requirements have no solution,
            or the version exists with other content.
    """
    job = Job(project, home, env, options)
    asked = _asked(job, config)
    with options.step("Packing the project's own packages"):
        packed = pack(job, asked.requirements)
    with options.step("Finding the models"):
        hub = hub_models(asked.description, job.lock_file, options.lock_mode, offline=options.offline)
        image = image_of(asked.config, asked.requirements, asked.platforms, packed.commits)
        image |= asked.steps.manifest()
        info = bento_info(
            asked.tag, asked.config, asked.description, ModelStore(home), image, options.labels, hub
        )
    with options.step("Collecting the files"):
        files = _files(job, asked)
    with options.step("Locking the requirements"):
        locked = _locked(job, asked, packed, files, resolver)
        tell_missing_library(hub, locked.text)
        asked, info = _with_one_cuda(asked, info, locked.text)
    with options.step("Looking up the base image"):
        asks = asked.requirements.is_locked or options.update_base
        info = replace(info, image=with_base(job, info.image, asked.platforms, asks=asks, find=find_digest))
    with options.step("Storing the bento"):
        return _stored(job, asked, info, locked, files)


def _asked(job: Job, config: BuildConfig) -> _Asked:
    with job.options.step("Importing the service"):
        description = describe_project(job.project, config, job.home, job.env)
    config = with_image(config, description.image, job.project)
    docker = config.docker
    return _Asked(
        config,
        description,
        image_steps(description.image, job.project),
        read_docker_files(job.project, docker),
        project_requirements(job.project, config.python, job.env),
        LockPlatform.parse_all(job.options.platform, distro=docker.distro, cuda_version=docker.cuda_version),
        Tag(bento_name(config.name or description.name), job.options.version),
    )


def _files(job: Job, asked: _Asked) -> Sequence[SourceFile]:
    files = project_files(job.project, asked.config, job.home)
    check_holds_service(files, asked.description.service, job.project)
    tell_left_out(job.project, asked.requirements, files, asked.description.modules)
    check_included(job.project, files, asked.steps.build_include)
    tell_size(files)
    return files


def _locked(
    job: Job, asked: _Asked, packed: Packed, files: Sequence[SourceFile], resolver: Resolver | None
) -> Locked:
    version = asked.config.docker.python_version
    locked = lock_packages(job, version, asked.requirements, packed, asked.platforms, resolver)
    check_links(job.project, asked.requirements, files, locked.text)
    return locked


def _with_one_cuda(asked: _Asked, info: BentoInfo, pins: str) -> tuple[_Asked, BentoInfo]:
    """Return both on a plain base where the packages bring CUDA: gigabytes of it would lie in the image twice."""
    docker = asked.config.docker
    wheels = wheels_of_cuda(pins) if docker.cuda_version else ""
    if not wheels:
        return asked, info
    logger.warning(
        "docker.cuda_version is not used, as the packages bring CUDA themselves (`%s`) and the driver comes from the host; "
        "`docker.base_image` names an image that has one of its own",
        wheels,
    )
    image = {key: value for key, value in info.image.items() if key != "cuda_version"}
    image["base_image"] = base_image_of(docker.distro, docker.python_version)
    plain = asked.config._replace(docker=docker._replace(cuda_version=""))
    return asked._replace(config=plain), replace(info, image=image)


def _stored(job: Job, asked: _Asked, info: BentoInfo, locked: Locked, files: Sequence[SourceFile]) -> Bento:
    wheels = (runtime_wheel(), *(Wheel(file.name, file.read_bytes()) for file in locked.wheels))
    contents = Contents(
        info,
        asked.config,
        asked.docker_files,
        asked.requirements,
        locked.pins,
        wheels,
        asked.description.openapi,
        asked.description.about,
        asked.steps,
    )
    name, version = asked.tag.name, asked.tag.version
    check = ModelStore(job.home).needed_by  # again, as somebody may have deleted one meanwhile
    with BentoStore(job.home).create(name, version=version, check=check) as draft:
        write(contents, files, draft.path)
        draft.info = info
    return draft.saved
