"""The ways to ask for an image: what `bentoml containerize`, `bentoml.container` and `bentoml.bentos` call."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from shutil import which

from ...config import Home, environment
from ...exceptions import BentoMLException, InvalidArgument
from ...store.archives.watch import Watch
from ...store.bentos import Bento, BentoStore
from ...tag import Tag
from ..daemon.api import reached
from ..engines.build import build_with_engine
from ..engines.known import add_engine, engine_of, get_engine, is_healthy
from ..engines.model import Engine, EngineImage
from ..engines.options import Option
from ..engines.plain_dockerfile import without_mounts
from ..oci.codec import Compression
from .choice import check_features, is_for_engine
from .containerize import containerize
from .platform_image import Step
from .result import ImageResult

__all__ = [
    "build",
    "build_by_dockerfile",
    "containerize_bento",
    "get_backend",
    "get_containerfile",
    "health",
    "register_backend",
]

logger = logging.getLogger(__name__)


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
    compress_models: Compression = "none",
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
    env = environment()
    home = Home.from_environment(env)
    bento = BentoStore(home).get(bento_tag)
    if is_for_engine(bento.info, backend, options, ours, env=env, is_for_a_place=bool(output)):
        said = {"label": labels, "output": output, "push": push}
        options |= {name: value for name, value in said.items() if value}
        return build_by_dockerfile(bento, engine, names, options, platform=platform, verify=verify, step=step)
    if push and output:
        raise InvalidArgument("`push` and `output` name two places; give one, and copy the image from there")
    return containerize(
        bento, home=home, env=env, base=base_image, names=names,
        output="type=registry" if push else output, platform=platform, offline=offline,
        compress_models=compress_models, verify=verify, bytecode=bytecode, labels=labels, sbom=sbom, step=step,
        watch=watch,
    )  # fmt: skip


def build_by_dockerfile(
    bento: Bento,
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
        bento, engine, home=home, env=env, names=names, platform=platform, options=options,
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
    """Return the Dockerfile of a bento, for those who build with an engine; write it to ``output_path``, else to stderr.

    Without ``enable_buildkit`` it is one that older engines understand, too.
    """
    check_features(features or ())
    bento = BentoStore(Home.from_environment(environment())).get(bento_tag)
    text = Path(bento.path_of("env/docker/Dockerfile")).read_text(encoding="utf-8")
    if not enable_buildkit:
        text = without_mounts(text)
    if output_path is None:
        sys.stderr.write(text)  # as BentoML does: who names no file wants to read it
    else:
        Path(output_path).write_text(text, encoding="utf-8")
    return text
