"""Project -> bento: everything that a service needs, put together under a tag that its content decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import Home
from ..exceptions import ImportServiceError, InvalidArgument
from ..store.aliases import MARK
from ..store.bentos import Bento, BentoStore
from ..store.digest import Digest
from ..store.manifest import BentoInfo, ModelRef
from ..store.models import ModelStore
from ..store.staging import Staging
from ..tag import Tag
from .build_file.config import BuildConfig, parse_config
from .contents.context import check_links, tell_size
from .contents.files import SourceFile, find_files, without_src
from .contents.folder import Contents, image_of, write
from .contents.hub_models import hub_models, tell_missing_library
from .contents.model_specs import model_info
from .contents.wheel import Wheel, runtime_requirements, runtime_wheel
from .described.describe import Description, describe, import_string_of
from .described.service_image import image_steps, with_image
from .docker.docker_files import read_docker_files
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
from .packages.packed_wheel import PackedWheel
from .packages.pip_tools_resolver import PipToolsResolver
from .packages.project import ProjectRequirements, project_requirements
from .packages.sources import PathSource
from .packages.uv_resolver import UvResolver
from .plan import with_packages

__all__ = [
    "DEFAULTS",
    "LOCK_FILE",
    "BuildOptions",
    "bento_name",
    "build",
    "check_holds_service",
    "describe_project",
    "lock_request",
    "project_files",
]

LOCK_FILE = "bentofile.lock"

_SPECIAL, _ESCAPED = re.compile(r"([\\*?\[\]!# ])"), r"\\\1"  # in a pattern of .gitignore

Step = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build, which is no part of the project: the version, the machine to lock for, and what to do with the lock.

    ``labels`` go before those of the build file and of the service; ``lock_file`` is by default that of the project;
    ``update_base`` moves the digest of the base image that the lock has;
    ``step`` is entered with a few words for each thing that may take long; with ``offline`` no connection is made.
    """

    version: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = "linux"
    offline: bool = False
    lock_mode: LockMode = "reuse"
    update_base: bool = False
    lock_file: Path | None = None
    step: Step = lambda _: nullcontext()


DEFAULTS = BuildOptions()


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
    with options.step("Importing the service"):
        description = describe_project(project, config, home, env)
    config = with_image(config, description.image, project)
    steps = image_steps(description.image, project)
    docker = config.docker
    platforms = LockPlatform.parse_all(
        options.platform, distro=docker.distro, cuda_version=docker.cuda_version
    )
    docker_files = read_docker_files(project, docker)
    requirements = project_requirements(project, config.python, env)
    tag = Tag(bento_name(config.name or description.name), options.version)
    with options.step("Packing the project's own packages"):
        packed = _packed(project, requirements, home, env, options)
    image = {**image_of(config, requirements, platforms, packed.commits), **steps.manifest()}
    file = options.lock_file or project / LOCK_FILE
    with options.step("Finding the models"):
        hub = hub_models(description, file, options.lock_mode, offline=options.offline)
    info = _manifest(tag, config, description, ModelStore(home), image, options.labels, hub)
    with options.step("Collecting the files"):
        files = project_files(project, config, home)
        check_holds_service(files, description.service, project)
        tell_size(files)
    with options.step("Locking the requirements"):
        resolver = resolver or _resolver(requirements, home, env)
        locked = {
            platform.image: _pins(project, config, requirements, packed, platform, options, env, resolver)
            for platform in platforms
        }
        pins = {platform: text for platform, (text, _) in locked.items()}
        used = {wheel.file for _, wheels in locked.values() for wheel in wheels}
        check_links(project, requirements, files, "".join(pins.values()))
        tell_missing_library(hub, "".join(pins.values()))
    if requirements.is_locked:
        with options.step("Looking up the base image"):
            find_digest = find_digest or _asked_now(home, env, options)
            info = replace(info, image=_with_bases(image, platforms, options, file, find_digest))
    contents = Contents(
        info,
        config,
        docker_files,
        requirements,
        pins,
        (runtime_wheel(), *(Wheel(file.name, file.read_bytes()) for file in sorted(used))),
        description.openapi,
        description.about,
        steps,
    )
    with options.step("Storing the bento"), BentoStore(home).create(tag.name, version=tag.version) as draft:
        write(contents, files, draft.path)
        draft.info = info
    return draft.saved


def _asked_now(home: Home, env: Mapping[str, str], options: BuildOptions) -> FindDigest:
    def find(reference: str, platform: Platform) -> Digest | None:
        from .oci.bases.pins import BaseDigests

        digests = BaseDigests(home.cache / "oci", env, options.offline, insists=options.update_base)
        return digests.find(reference, platform)

    return find


def _with_bases(
    image: dict[str, Any],
    platforms: Sequence[LockPlatform],
    options: BuildOptions,
    lock: Path,
    find_digest: FindDigest,
) -> dict[str, Any]:
    """Return what `bento.yaml` says of the image, with the digest of its base, or that of each platform, if it is known."""
    mode: LockMode = (
        "update" if options.update_base else "locked" if options.lock_mode == "locked" else "reuse"
    )
    base = image["base_image"]
    machines = [Platform.parse(platform.image) for platform in platforms]
    digests = base_digests(with_packages(base, image["system_packages"]), machines, lock, find_digest, mode)
    pinned = {str(platform): f"{base}@{digest}" for platform, digest in digests.items()}
    if len(pinned) == len(platforms) and len(set(pinned.values())) == 1:
        return {**image, "base_image": next(iter(pinned.values()))}
    return {**image, **({"base_images": pinned} if pinned else {})}


def describe_project(project: Path, config: BuildConfig, home: Home, env: Mapping[str, str]) -> Description:
    """Return what the service of a project says of itself; its code runs in a child process.

    Raises:
        ImportServiceError: the project has no service, or its code fails; the message holds the traceback.
        BentoMLException: there is no such service, or it needs a model that is not there.
    """
    is_src_layout = config.python.is_src_layout
    places = [project, project / "src"] if is_src_layout else [project]
    modules = ("service.py", "service/__init__.py")
    if not config.service and not any((place / module).is_file() for place in places for module in modules):
        raise ImportServiceError(
            f"`{project}` has no `service.py`, and its build file names no `service`; write `service: module:Class`"
        )
    import_string = import_string_of(config.service, is_src_layout=is_src_layout)
    env = {**env, "BENTOML_HOME": str(home.root)}
    return describe(project, import_string, env=env, is_src_layout=is_src_layout, args=config.args)


def bento_name(name: str) -> str:
    """Return the name that a class gives its bento: words in lower case, with `_` between them."""
    snake = re.sub(r"(?<=[a-zA-Z0-9])(?=[A-Z][a-z])", "_", name).lower()
    try:
        return Tag(snake).name
    except ValueError as e:
        raise InvalidArgument(
            f"the bento cannot be called `{snake}`: {e}; set `name` in the build file"
        ) from e


def _manifest(
    tag: Tag,
    config: BuildConfig,
    description: Description,
    models: ModelStore,
    image: dict[str, Any],
    labels: Mapping[str, str],
    hub: Mapping[str, Sequence[ModelRef]],
) -> BentoInfo:
    """Return what `bento.yaml` says; each model is named by its exact version and digest."""
    declared = parse_config({"labels": description.labels, "envs": description.envs}, source="the service")
    envs = {variable.name: asdict(variable) for variable in [*config.envs, *declared.envs]}
    return BentoInfo(
        tag=tag,
        service=description.service,
        entry_service=description.name,
        labels={**config.labels, **declared.labels, **labels},
        models=tuple(
            ModelRef.of(
                model_info(spec, models), alias=spec.alias or (spec.tag if MARK in spec.tag else None)
            )
            for spec in config.models
        ),
        services=tuple(
            {**service, "models": [ref.to_data() for ref in _used_models(models, service, hub)]}
            for service in description.services
        ),
        envs=tuple(envs.values()),
        schema=description.schema,
        args=dict(config.args),
        image=image,
        description=config.description,
    )


def _used_models(
    models: ModelStore, service: Mapping[str, Any], hub: Mapping[str, Sequence[ModelRef]]
) -> list[ModelRef]:
    """Return what a bento says of the models of a service; an alias means the one that it names now, wherever it is moved."""
    used = [
        ModelRef.of(models.get(tag).info, alias=alias or None) for tag, alias in sorted(service["models"])
    ]
    return [*used, *hub.get(service["name"], ())]


def _packed(
    project: Path,
    requirements: ProjectRequirements,
    home: Home,
    env: Mapping[str, str],
    options: BuildOptions,
) -> Packed:
    """Return the wheels of the code that the project requires, and those that it names."""
    file = options.lock_file or project / LOCK_FILE
    sources = requirements.sources
    known = read_lock_file(file).commits if sources else {}
    commits = pinned_commits(sources, known, options.lock_mode, env, offline=options.offline)
    indexes = Indexes.choose(requirements.python, pip_settings(env), project)
    packer = Packer(project, home.cache / "wheels", Staging(home).folder, env, indexes, options.offline)
    named = (packer.pack(PathSource(name, name), {}) for name in requirements.python.wheels)
    return Packed((*named, *(packer.pack(source, commits) for source in sources)), commits)


def _resolver(requirements: ProjectRequirements, home: Home, env: Mapping[str, str]) -> Resolver:
    """Return the resolver that the project wants; what it leaves behind if it is killed lies where the store cleans."""
    kind = PipToolsResolver if requirements.python.resolver == "pip-tools" else UvResolver
    return kind(env, Staging(home).folder)


def _pins(
    project: Path,
    config: BuildConfig,
    requirements: ProjectRequirements,
    packed: Packed,
    platform: LockPlatform,
    options: BuildOptions,
    env: Mapping[str, str],
    resolver: Resolver,
) -> tuple[str, tuple[PackedWheel, ...]]:
    """Return the content of `requirements.txt`, and the wheels that are installed beside it.

    It is locked, or holds the requirements as they are written if the build file wants no lock.
    """
    if not requirements.is_locked:
        unpacked = (source.line for source in requirements.unpacked)
        extras = (f"{wheel.name}[{wheel.extras}]" for wheel in packed.wheels if wheel.extras)
        lines = (*_lines(requirements), *extras, *unpacked)
        return "".join(f"{line}\n" for line in lines), packed.wheels
    request = lock_request(
        project, config.docker.python_version, requirements, packed, platform, options, env
    )
    pins = lock_requirements(request, options.lock_file or project / LOCK_FILE, resolver, options.lock_mode)
    return split_wheels(pins, packed.wheels)


def lock_request(
    project: Path,
    python_version: str,
    requirements: ProjectRequirements,
    packed: Packed,
    platform: LockPlatform,
    options: BuildOptions,
    env: Mapping[str, str],
) -> LockRequest:
    """Return what has to be resolved for the project's requirements and those of the runtime."""
    python = requirements.python
    return LockRequest(
        requirements=_lines(requirements),
        python_version=python_version,
        platform=platform,
        indexes=Indexes.choose(python, pip_settings(env), project),
        declared=Indexes.choose(python, {}, Path()),
        wheels=packed.wheels,
        commits={place: commit for place, commit in packed.commits.items() if not place.endswith(commit)},
        constraints=requirements.constraints,
        checked=requirements.checked,
        prereleases=requirements.prereleases,
        no_deps="--no-deps" in python.pip_args,
        sources=requirements.uv,
        resolver="" if python.resolver == "uv" else python.resolver,
        offline=options.offline,
    )


def _lines(requirements: ProjectRequirements) -> tuple[str, ...]:
    return tuple(sorted({*requirements.lines, *runtime_requirements(requirements.extras)}))


def project_files(project: Path, config: BuildConfig, home: Home) -> list[SourceFile]:
    """Return the files of a project that belong to its bento."""
    files = find_files(project, config.include, [*config.exclude, *_places_of(home, project)])
    return without_src(files) if config.python.is_src_layout else files


def check_holds_service(files: Sequence[SourceFile], service: str, project: Path) -> None:
    """Make sure that the module of the service is in the bento, if the project is where it comes from."""
    stem = service.partition(":")[0].replace(".", "/")
    modules = {f"{stem}.py", f"{stem}/__init__.py"}
    there = [
        place for name in sorted(modules) for place in (name, f"src/{name}") if (project / place).is_file()
    ]
    if there and modules.isdisjoint(file.path for file in files):
        raise InvalidArgument(
            f"`{there[0]}`, which holds the service, would not be part of the bento; "
            "change `include`, `exclude` or `.bentoignore`"
        )


def _places_of(home: Home, project: Path) -> list[str]:
    """Return patterns for the store's own folders, which are no part of a project that they lie in."""
    root = home.root.resolve()
    if root == project:
        places = [home.models, home.bentos, home.aliases, home.blobs, home.staging, home.cache, home.state]
        return ["/store.lock", *(f"/{place.name}/" for place in places)]
    if root.is_relative_to(project):
        return [f"/{_SPECIAL.sub(_ESCAPED, root.relative_to(project).as_posix())}/"]
    return []
