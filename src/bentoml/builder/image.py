"""Bento -> image: upon a base, a layer for each model, the user, the packages and the bento; then into a sink.

No container engine is needed and nothing is run in the image. The same bento on the same base gives the same image id,
wherever and whenever it is made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..config import Home
from ..exceptions import BentoMLException
from ..sdk.references import HuggingFaceModel
from ..store.bentos import Bento
from ..store.digest import Digest
from ..store.models import Model, ModelStore
from ..tag import Tag
from .backends.engine import EngineSink
from .backends.select import open_sink
from .build_file.config import PythonConfig
from .oci.assemble import RunConfig, assemble, base_environment
from .oci.bases.engine import connected
from .oci.bases.rootfs import RootFS, read_rootfs
from .oci.bases.select import open_base
from .oci.cache import Cache, DamagedCache
from .oci.codec import Codec, gzip_codec, stored_codec
from .oci.model import Base, Blob, Image, Sink
from .oci.parts.hub_layers import HubFiles, hub_layers
from .oci.parts.layers import bento_layer, model_layers, user_layer
from .oci.parts.place import VENV
from .oci.parts.python import PythonRequest, PythonTarget, python_layers
from .packages.indexes import Indexes, pip_settings
from .packages.uv_command import uv_environment, uv_options
from .plan import ImagePlan, plan_image

__all__ = ["ImageLayer", "ImageResult", "containerize"]

logger = logging.getLogger(__name__)

Step = Callable[[str], AbstractContextManager[None]]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """A layer of a finished image, for people; ``is_new`` means that the sink did not have it."""

    kind: str
    about: str
    size: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What was made: of which bento, on which base, under which names, with which id, where, and of which layers."""

    tag: Tag
    base: str
    names: tuple[str, ...]
    id: Digest
    place: str
    layers: tuple[ImageLayer, ...]
    uses_gpu: bool = False


def containerize(
    bento: Bento,
    *,
    home: Home,
    env: Mapping[str, str],
    base: str | None = None,
    names: Sequence[str] = (),
    output: str | None = None,
    platform: str | None = None,
    offline: bool = False,
    compress_models: Literal["none", "gzip"] = "none",
    verify: bool = False,
    step: Step = lambda _: nullcontext(),
) -> ImageResult:
    """Make the image of a bento and put it where ``output`` says, by default into the local Docker engine.

    ``base`` is the image to build upon instead of the bento's own choice (see `open_base`); ``compress_models``
    says whether the weights are compressed, which pays on a slow link alone; ``verify`` reads the bento and its models once
    more and compares them with what was stored; ``step`` is entered with a few words for each thing that may take long. A failure leaves nothing under a name.

    Raises:
        InvalidArgument: a name, the platform or the output cannot be understood.
        BentoMLException: a model or wheel is missing, the base or the sink cannot be reached, or the base does not fit.
    """
    packages = _packages(bento)
    bento.check()
    pins = packages[0].read_text("utf-8")
    plan = plan_image(bento.info, base=base, names=names, platform=platform, env=env, requirements=pins)
    models = _models(bento, ModelStore(home))
    if verify:
        with step("Verifying the bento and its models"):
            _verify(bento, *models)
    codec = gzip_codec() if compress_models == "gzip" else stored_codec()
    sink = _reached_sink(output, env)

    damages: set[str] = set()
    while True:
        try:
            return _made(
                bento, plan, packages, models, codec, sink, home=home, env=env, offline=offline, step=step
            )
        except DamagedCache as e:
            if e.damage in damages:
                raise
            damages.add(e.damage)
            logger.warning("%s; making it anew", e.damage)


def _made(
    bento: Bento,
    plan: ImagePlan,
    packages: tuple[Path, tuple[Path, ...]],
    models: Sequence[Model],
    codec: Codec,
    sink: Sink,
    *,
    home: Home,
    env: Mapping[str, str],
    offline: bool,
    step: Step,
) -> ImageResult:
    """Make the layers, from the bottom up, and write the image into the sink."""
    cache = Cache(home.cache / "oci")
    with step(f"Opening the base image {plan.base}"):
        opened = open_base(plan.base, platform=plan.platform, cache=cache.root, env=env, offline=offline)
        rootfs = read_rootfs(opened, cache)
        target = _target(bento, plan, opened, rootfs)
    with step(f"Packing the models ({_megabytes(model.tree.size() for model in models)})"):
        below = (
            *model_layers(models, cache, epoch=plan.epoch, codec=codec),
            *hub_layers(_hub_files(bento, offline=offline), cache, epoch=plan.epoch, codec=codec),
            user_layer(rootfs, epoch=plan.epoch),
        )
    with step("Installing the packages"):
        request = PythonRequest(*packages, target, Path(bento.path, "src"), *_uv_settings(bento, env))
        installed = python_layers(request, cache, epoch=plan.epoch, offline=offline)
    layers = (*below, *installed, bento_layer(bento, models, cache, epoch=plan.epoch))
    image = assemble(opened, layers, _run_config(plan, opened), epoch=plan.epoch)
    with step(f"Writing the image ({_megabytes(layer.descriptor.size for layer in image.layers)})"):
        return _written(image, sink, bento.tag, opened.name, plan)


def _megabytes(sizes: Iterable[int]) -> str:
    return f"{sum(sizes) / 1e6:.1f} MB"


def _packages(bento: Bento) -> tuple[Path, tuple[Path, ...]]:
    """Return the requirements of a bento, and the wheels that it brings with it: its runtime."""
    folder = Path(bento.path, "env/python")
    requirements, wheels = folder / "requirements.txt", tuple(sorted(folder.glob("wheels/*.whl")))
    if not wheels or not requirements.is_file():
        raise BentoMLException(
            f"bento `{bento.tag}` does not hold the runtime, as it was made by another program; build it again with "
            "`bentoml build`"
        )
    return requirements, wheels


def _models(bento: Bento, store: ModelStore) -> list[Model]:
    """Return the models that the bento needs, if all of them may be loaded."""
    models = store.needed_by(bento.info)
    for model in models:
        model.check_trusted()  # in the image, nothing tells any more where it came from
    return models


def _hub_files(bento: Bento, *, offline: bool) -> Iterator[HubFiles]:
    """Yield the models on Hugging Face, each at the commit that the bento was built with; what is not here is fetched."""
    models = {str(ref.tag): HuggingFaceModel.from_info(ref) for ref in bento.info.hub_models}
    for _, model in sorted(models.items()):
        yield HubFiles(f"{model.model_id}@{model.revision[:12]}", model.files(offline=offline))


def _verify(*items: Bento | Model) -> None:
    for item in items:
        item.check(thoroughly=True)


def _reached_sink(output: str | None, env: Mapping[str, str]) -> Sink:
    """Return the sink; an engine that does not answer is an error before the work, not after it."""
    sink = open_sink(output, env=env)
    if isinstance(sink, EngineSink):
        with connected(env):
            pass
    return sink


def _target(bento: Bento, plan: ImagePlan, base: Base, rootfs: RootFS) -> PythonTarget:
    """Return the Python that packages are installed for: that of the base, if it is the bento's."""
    version = plan.python_version
    interpreter = rootfs.python(version, base_environment(base).get("PATH") or _PATH)
    if interpreter is None:
        has = " and ".join(f"Python {found}" for found in rootfs.versions()) or "no Python"
        raise BentoMLException(
            f"bento `{bento.tag}` needs Python {version}, but base image `{base.name}` has {has}; take another with "
            f"`--base-image`, such as `python:{version}-slim`, or set `docker.python_version` and build again"
        )
    return PythonTarget.of(version, interpreter, plan.platform, rootfs.libc)


def _uv_settings(bento: Bento, env: Mapping[str, str]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return uv's environment and options: packages come from the bento's own indexes, else from those of pip."""
    image = bento.info.image
    config = PythonConfig(
        index_url=str(image.get("index_url") or ""),
        extra_index_url=tuple(map(str, image.get("extra_index_url") or ())),
        find_links=tuple(map(str, image.get("find_links") or ())),
        trusted_host=tuple(map(str, image.get("trusted_host") or ())),
        no_index=bool(image.get("no_index")),
    )
    indexes = Indexes.choose(config, pip_settings(env), Path(bento.path, "src"))
    if "--hash=" in Path(bento.path, "env/python/requirements.txt").read_text("utf-8"):
        indexes = replace(indexes, best_match=True)  # what a hash names may come from any of them
    wishes = ("--prerelease", "allow") if "--pre" in str(image.get("pip_args") or "").split() else ()
    return uv_environment(indexes, env), (*uv_options(indexes), *wishes)


def _run_config(plan: ImagePlan, base: Base) -> RunConfig:
    path = plan.env.get("PATH") or base_environment(base).get("PATH") or _PATH
    base_labels = {"org.opencontainers.image.base.digest": str(base.digest)} if base.digest else {}
    return RunConfig(
        user=plan.user,
        working_dir=plan.working_dir,
        entrypoint=plan.entrypoint,
        env={**plan.env, "PATH": f"/{VENV}/bin:{path}"},
        ports=plan.ports,
        health=plan.health,
        labels={**plan.labels, **base_labels},
    )


@dataclass(slots=True)
class _Watched:
    """A blob that knows whether somebody asked for its bytes: a sink reads what it lacks, and nothing else."""

    blob: Blob
    was_read: bool = False

    def chunks(self) -> Iterator[bytes]:
        self.was_read = True
        yield from self.blob.chunks()


def _written(image: Image, sink: Sink, tag: Tag, base: str, plan: ImagePlan) -> ImageResult:
    """Put the image into the sink and say what was new there."""
    watched = [_Watched(layer.blob) for layer in image.layers]
    layers = tuple(replace(layer, blob=blob) for layer, blob in zip(image.layers, watched, strict=True))
    place = sink.write(replace(image, layers=layers), plan.names)
    summary = tuple(
        ImageLayer(layer.kind, layer.about, layer.descriptor.size, blob.was_read)
        for layer, blob in zip(layers, watched, strict=True)
    )
    return ImageResult(tag, base, plan.names, image.config_descriptor.digest, place, summary, plan.uses_gpu)
