"""Bento -> image: upon a base, a layer for each model, the user, the packages and the bento; then into a sink.

No container engine is needed and nothing is run in the image. The same bento on the same base gives the same image id,
wherever and whenever it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import Home
from ..exceptions import BentoMLException, NotFound
from ..store.bentos import Bento
from ..store.digest import Digest
from ..store.models import Model, ModelStore
from ..tag import Tag
from .backends.select import open_sink
from .config import PythonConfig
from .indexes import Indexes, pip_settings
from .oci.assemble import RunConfig, assemble, base_environment
from .oci.bases import open_base
from .oci.cache import Cache
from .oci.layers import bento_layer, model_layers, user_layer
from .oci.model import Base, Blob, Image, Sink
from .oci.place import VENV
from .oci.python import PythonRequest, PythonTarget, python_layers
from .oci.rootfs import RootFS, read_rootfs
from .plan import ImagePlan, plan_image
from .uv_command import uv_environment, uv_options

__all__ = ["ImageLayer", "ImageResult", "containerize"]

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
    """What was made: of which bento, under which names, with which id, where it is, and its layers, bottom first."""

    tag: Tag
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
    step: Step = lambda _: nullcontext(),
) -> ImageResult:
    """Make the image of a bento and put it where ``output`` says, by default into the local Docker engine.

    ``base`` is the image to build upon instead of the bento's own choice (see `open_base`); ``step`` is entered with a
    few words for each thing that may take long. A failure leaves nothing under a name.

    Raises:
        InvalidArgument: a name, the platform or the output cannot be understood.
        BentoMLException: a model is missing, the base or the sink cannot be reached, the base does not fit, or a package
            has no wheel for it.
    """
    plan = plan_image(bento.info, base=base, names=names, platform=platform, env=env)
    models = _models(bento, ModelStore(home))
    sink = open_sink(output, env=env)
    with step(f"Opening the base image {plan.base}"):
        cache = Cache(home.cache / "oci")
        opened = open_base(plan.base, platform=plan.platform, cache=cache.root, env=env, offline=offline)
        rootfs = read_rootfs(opened, cache)
    with step("Making the layers"):
        request = _python_request(bento, plan, opened, rootfs, env)
        layers = (
            *model_layers(models, cache, epoch=plan.epoch),
            user_layer(rootfs, epoch=plan.epoch),
            *python_layers(request, cache, epoch=plan.epoch, offline=offline),
            bento_layer(bento, models, epoch=plan.epoch),
        )
        image = assemble(opened, layers, _run_config(plan, opened), epoch=plan.epoch)
    with step("Writing the image"):
        place, summary = _write(image, sink, plan.names)
    return ImageResult(bento.tag, plan.names, image.config_descriptor.digest, place, summary, plan.uses_gpu)


def _models(bento: Bento, store: ModelStore) -> list[Model]:
    """Return the models that the bento needs, each once, and each the one that it was built with."""
    found = {}
    for ref in bento.info.all_models:
        try:
            model = store.get(ref.tag)
        except NotFound as e:
            raise NotFound(
                f"bento `{bento.tag}` needs model `{ref.tag}`, which is not in the store: {e}"
            ) from e
        if ref.digest and model.digest != ref.digest:
            raise BentoMLException(
                f"bento `{bento.tag}` was built with another model `{ref.tag}`: `{ref.digest}`, but the store has "
                f"`{model.digest}`; build the bento again"
            )
        found[model.tag] = model
    return list(found.values())


def _python_request(
    bento: Bento, plan: ImagePlan, base: Base, rootfs: RootFS, env: Mapping[str, str]
) -> PythonRequest:
    folder = Path(bento.path)
    wheels = tuple(sorted((folder / "env/python/wheels").glob("*.whl")))
    requirements = folder / "env/python/requirements.txt"
    if not wheels or not requirements.is_file():
        raise BentoMLException(
            f"bento `{bento.tag}` does not hold the runtime; it was made by another program: build it again with "
            "`bentoml build`"
        )
    target = PythonTarget.of(
        plan.python_version, _interpreter(bento, plan, base, rootfs), plan.platform, rootfs.libc
    )
    indexes = _indexes(bento, env)
    return PythonRequest(
        requirements, wheels, target, folder / "src", uv_environment(indexes, env), uv_options(indexes)
    )


def _interpreter(bento: Bento, plan: ImagePlan, base: Base, rootfs: RootFS) -> str:
    search_path = base_environment(base).get("PATH") or _PATH
    if found := rootfs.python(plan.python_version, search_path):
        return found
    has = " and ".join(f"Python {version}" for version in rootfs.versions()) or "no Python"
    raise BentoMLException(
        f"bento `{bento.tag}` needs Python {plan.python_version}, but base image `{base.name}` has {has}; take "
        f"another with `--base-image`, such as `python:{plan.python_version}-slim`, or set `docker.python_version`"
    )


def _indexes(bento: Bento, env: Mapping[str, str]) -> Indexes:
    """Return where packages come from: the bento's own indexes, else those of pip's configuration."""
    image = bento.info.image
    config = PythonConfig(
        index_url=str(image.get("index_url") or ""),
        extra_index_url=tuple(map(str, image.get("extra_index_url") or ())),
        find_links=tuple(map(str, image.get("find_links") or ())),
    )
    return Indexes.choose(config, pip_settings(env), Path(bento.path, "src"))


def _run_config(plan: ImagePlan, base: Base) -> RunConfig:
    path = plan.env.get("PATH") or base_environment(base).get("PATH") or _PATH
    base_labels = {"org.opencontainers.image.base.digest": str(base.digest)} if base.digest else {}
    return RunConfig(
        user=plan.user,
        working_dir=plan.working_dir,
        entrypoint=plan.entrypoint,
        env={**plan.env, "PATH": f"/{VENV}/bin:{path}"},
        ports=plan.ports,
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


def _write(image: Image, sink: Sink, names: Sequence[str]) -> tuple[str, tuple[ImageLayer, ...]]:
    watched = [_Watched(layer.blob) for layer in image.layers]
    layers = tuple(replace(layer, blob=blob) for layer, blob in zip(image.layers, watched, strict=True))
    place = sink.write(replace(image, layers=layers), names)
    return place, tuple(
        ImageLayer(layer.kind, layer.about, layer.descriptor.size, blob.was_read)
        for layer, blob in zip(layers, watched, strict=True)
    )
