"""The ways to ask for an image: what `bentoml containerize`, `bentoml.container` and `bentoml.bentos` call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from shutil import which
from typing import Literal

from ...config import Home, environment
from ...exceptions import BentoMLException, InvalidArgument
from ...nearest import nearest
from ...store.archives.watch import Watch
from ...store.bentos import BentoStore
from ...tag import Tag
from ..daemon.api import reached
from ..engines.build import build_with_engine
from ..engines.known import add_engine, engine_of, get_engine, is_healthy
from ..engines.model import Engine, EngineImage
from ..engines.options import Option
from ..engines.plain_dockerfile import without_mounts
from .containerize import containerize
from .plan import needs_dockerfile
from .platform_image import Step
from .result import ImageResult

__all__ = [
    "build",
    "build_by_dockerfile",
    "check_features",
    "containerize_bento",
    "get_backend",
    "get_containerfile",
    "health",
    "is_for_engine",
    "register_backend",
]

logger = logging.getLogger(__name__)

_FEATURES = (
    "all", "aws", "grpc", "grpc-channelz", "grpc-reflection", "io", "io-file", "io-image", "io-json", "io-pandas",
    "monitor-otlp", "tracing", "tracing-jaeger", "tracing-otlp", "tracing-zipkin", "triton",
)  # fmt: skip


def build(
    bento_tag: str | Tag,
    backend: str = "docker",
    image_tag: str | Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    *,
    base_image: str | None = None,
    output: str | None = None,
    push: bool = False,
    platform: str | None = None,
    offline: bool = False,
    compress_models: Literal["none", "gzip"] = "none",
    verify: bool = False,
    bytecode: bool | None = None,
    labels: Mapping[str, str] | None = None,
    sbom: bool | None = None,
    step: Step = lambda _: nullcontext(),
    watch: Watch | None = None,
    **options: Option,
) -> ImageResult | EngineImage:
    """Make the image of a bento and put it into the Docker engine, or where ``output`` says; see `containerize`.

    ``push`` puts it into the registries that its names say, as ``output="type=registry"`` does.
    With another ``backend`` (`podman`, `buildx`, ...), or with ``options`` of its build command (``build_arg={"A": "b"}``,
    ``no_cache=True``), that engine builds the bento's Dockerfile instead.

    Raises:
        NotFound: there is no such bento, or one of its models is missing.
        InvalidArgument: an argument cannot be understood, or means nothing together with another.
        BentoMLException: the image cannot be made, or not be put there.
    """
    engine = get_engine(backend)
    names = [image_tag] if isinstance(image_tag, str) else image_tag or ()
    check_features(features or ())
    ours = {
        "base_image": base_image, "offline": offline, "sbom": sbom, "bytecode": bytecode is not None,
        "compress_models": compress_models != "none",
    }  # fmt: skip
    if is_for_engine(bento_tag, backend, options, ours, is_for_a_place=bool(output)):
        said = {"label": labels, "output": output, "push": push}
        options |= {name: value for name, value in said.items() if value}
        return build_by_dockerfile(
            bento_tag, engine, names, options, platform=platform, verify=verify, step=step
        )
    if push and output:
        raise InvalidArgument("`push` and `output` name two places; give one, and copy the image from there")
    env = environment()
    home = Home.from_environment(env)
    return containerize(
        BentoStore(home).get(bento_tag), home=home, env=env, base=base_image, names=names,
        output="type=registry" if push else output, platform=platform, offline=offline,
        compress_models=compress_models, verify=verify, bytecode=bytecode, labels=labels, sbom=sbom, step=step,
        watch=watch,
    )  # fmt: skip


def is_for_engine(
    bento_tag: str | Tag,
    backend: str,
    options: Mapping[str, Option],
    ours: Mapping[str, object],
    *,
    is_for_a_place: bool,
) -> bool:
    """Say whether an engine builds the bento's Dockerfile: it was asked to, or nobody else can and Docker is there to do so.

    ``ours`` are the arguments that mean something to images made without an engine alone, by the names that the user knows;
    ``is_for_a_place`` says that the image goes where only we put it.

    Raises:
        InvalidArgument: an engine is asked for together with one of ours.
    """
    said = [f"`{name}`" for name, value in ours.items() if value]
    if backend == "docker" and not options:
        return not said and not is_for_a_place and _is_for_docker(bento_tag)
    if said:
        raise InvalidArgument(
            f"{', '.join(said)}: that is for images that are made without an engine, but backend `{backend}` builds the "
            "bento's Dockerfile here; take no other backend and no options of a build command"
        )
    return True


def _is_for_docker(bento_tag: str | Tag) -> bool:
    env = environment()
    info = BentoStore(Home.from_environment(env)).get(bento_tag).info
    return bool(needs_dockerfile(info)) and is_healthy(get_engine("docker"), env)


def build_by_dockerfile(
    bento_tag: str | Tag,
    engine: Engine,
    names: Sequence[str],
    options: Mapping[str, Option],
    *,
    platform: str | None = None,
    verify: bool = False,
    as_root: bool = False,
    step: Step = lambda _: nullcontext(),
    tell: Callable[[str], None] = logger.debug,
) -> EngineImage:
    """Let an engine build the Dockerfile of a bento of the store; see `build_with_engine`."""
    env = environment()
    home = Home.from_environment(env)
    return build_with_engine(
        BentoStore(home).get(bento_tag), engine, home=home, env=env, names=names, platform=platform, options=options,
        as_root=as_root, verify=verify, step=step, tell=tell,
    )  # fmt: skip


def containerize_bento(bento_tag: str | Tag, **options: object) -> bool:
    """Make the image of a bento, as `bentoml.container.build` does, and return whether that was possible: always True.

    What goes wrong is raised.
    """
    build(bento_tag, **options)  # type: ignore[arg-type]  # the options of `build`
    return True


def health(backend: str = "docker") -> bool:
    """Say whether a backend can be used: its program is there, or its engine answers."""
    if backend != "docker":
        return is_healthy(get_engine(backend), environment())
    try:
        with reached(environment()):
            return True
    except BentoMLException:
        return False


def get_backend(backend: str) -> Engine:
    """Return what is known of a backend: its command and how it is asked.

    Raises:
        InvalidArgument: there is no such backend.
    """
    return get_engine(backend)


def register_backend(
    backend: str,
    *,
    buildkit_support: bool,
    health: Callable[[], bool],
    construct_build_args: Callable[..., Sequence[str]],
    binary: str | None = None,
    build_cmd: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Add a backend for this process: ``binary`` (by default its name) with ``build_cmd`` (by default `build`) builds images.

    ``construct_build_args`` is called with the options of `build` and ``tag``, ``file``, ``context_path``, ``secret``, and
    returns the arguments that follow.
    """
    program = binary or which(backend) or backend
    command = (program, *(("build",) if build_cmd is None else build_cmd))
    add_engine(
        engine_of(
            backend, command, construct_build_args, health, has_mounts=buildkit_support, env=dict(env or {})
        )
    )


def get_containerfile(
    bento_tag: str | Tag,
    output_path: str | Path | None = None,
    enable_buildkit: bool = True,
    features: Sequence[str] | None = None,
) -> str:
    """Return the Dockerfile of a bento, for those who build with an engine; write it to ``output_path`` if given.

    Without ``enable_buildkit`` it is one that older engines understand, too.
    """
    check_features(features or ())
    bento = BentoStore(Home.from_environment(environment())).get(bento_tag)
    text = Path(bento.path_of("env/docker/Dockerfile")).read_text(encoding="utf-8")
    if not enable_buildkit:
        text = without_mounts(text)
    if output_path is not None:
        Path(output_path).write_text(text, encoding="utf-8")
    return text


def check_features(features: Sequence[str]) -> None:
    """Say that features are packages, which the bento has locked; refuse those that nobody knows."""
    for feature in features:
        if feature not in _FEATURES:
            hint = f"; did you mean `{near}`?" if (near := nearest(feature, _FEATURES)) else ""
            raise InvalidArgument(f"feature `{feature}` is not known{hint}")
    if features:
        logger.warning(
            "features change nothing, as the packages of a bento are locked: list `bentoml[%s]` under `python.packages` "
            "and build the bento again",
            ",".join(features),
        )
