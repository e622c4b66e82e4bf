"""Bento -> image: upon a base, a layer for each model, the user, the packages and the bento; then into a sink.

No container engine is needed, and nothing of the bento is run unless it asks for that. The same bento on the same base
gives the same image id, wherever and whenever it is made.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from ...config import Home
from ...exceptions import InvalidArgument
from ...store.archives.watch import Watch
from ...store.bentos import Bento
from ...store.items import reading
from ...store.models import Model, ModelStore
from ..backends.output import Kind, Output, parse_output
from ..backends.select import open_sink
from ..oci.cache import Cache, DamagedCache
from ..oci.codec import Codec, Compression, codec_of
from ..oci.model import Image, ImageIndex, Referrer, Sink
from .delivery import deliver
from .plan import ImagePlan, plan_image
from .platform_image import ImageMaker, PlatformImage, Step, megabytes, requirements_of
from .recorded import check_recorded, checked_labels
from .result import ImageResult

__all__ = ["ImageResult", "containerize"]

logger = logging.getLogger(__name__)


def containerize(
    bento: Bento,
    *,
    home: Home,
    env: Mapping[str, str],
    base: str | None = None,
    names: Sequence[str] = (),
    output: Output | str | None = None,
    platform: str | None = None,
    offline: bool = False,
    compress_models: Compression = "none",
    verify: bool = False,
    bytecode: bool | None = None,
    labels: Mapping[str, str] | None = None,
    sbom: bool | None = None,
    step: Step = lambda _: nullcontext(),
    watch: Watch | None = None,
) -> ImageResult:
    """Make the image of a bento and put it where ``output`` says, by default into the local Docker engine.

    ``base`` is the image to build upon instead of the bento's own choice (see `open_base`); ``platform`` may name several,
    with commas between; ``compress_models`` says whether the weights are compressed, which pays on a slow link alone;
    ``verify`` reads the bento and its models once more and compares them with what was stored; ``bytecode`` says whether the
    image has that of Python and its packages, by default what the bento says (see `find_compiler`); ``labels`` are added
    to those of the bento; ``sbom`` says whether an SBOM is made, by default where it goes to a registry. ``step`` is entered
    with a few words for each thing that may take long, ``watch`` told of the bytes that are sent. A failure leaves nothing
    under a name.

    Raises:
        InvalidArgument: a name, the platform or the output cannot be understood.
        NotFound: the bento or a model is not there, or deleted meanwhile.
        BentoMLException: a model or wheel is missing, the base or the sink cannot be reached, or the base does not fit.
    """
    wanted = output if isinstance(output, Output) else parse_output(output)
    check_recorded(bento.info)
    codec = _codec(compress_models, wanted)
    with reading(bento):
        plans = [
            _plan(bento, base, tuple(names) or wanted.names, one, env, checked_labels(labels or {}))
            for one in _platforms(platform, wanted)
        ]
    bento.check()
    models = _models(bento, ModelStore(home))
    if verify:
        with step("Verifying the bento and its models"):
            _verify(bento, *models)
    sink = open_sink(wanted, env=env, memory=home.cache / "registry" / "memory", watch=watch)
    _check_reach(wanted, plans[0].names, env)
    compiles = bool(bento.info.image.get("compile")) if bytecode is None else bytecode
    maker = ImageMaker(bento, models, codec, Cache(home.cache / "oci"), env, offline, step, watch, compiles)
    has_sbom = wanted.kind == "registry" if sbom is None else sbom
    with reading(bento, *models):
        return _made_in_the_end(maker, plans, sink, wanted.kind, has_sbom)


def _platforms(text: str | None, output: Output) -> list[str | None]:
    """Return the platforms that are named; one that is left to the bento is None."""
    found: list[str | None] = (
        list(dict.fromkeys(part.strip() for part in text.split(","))) if text else [None]
    )
    if "" in found:
        raise InvalidArgument(f"`--platform {text}` has an empty name; it looks like linux/amd64,linux/arm64")
    if len(found) > 1 and output.kind in ("docker", "docker-archive"):
        raise InvalidArgument(
            f"`--platform {text}`: an engine takes the image of one platform; name that one, or write all of them with "
            "`--output type=oci,dest=FOLDER`, or push them"
        )
    return found


def _codec(compression: Compression, output: Output) -> Codec:
    """Return how the layers of models travel: to those alone in zstd who are known to read it."""
    if compression == "zstd" and output.kind in ("docker", "docker-archive"):
        raise InvalidArgument(
            "`--compress-models zstd`: an engine may not read it (Docker before 23 does not); take `gzip`, or push the image, or "
            "write it with `--output type=oci,dest=FOLDER`"
        )
    return codec_of(compression)


def _plan(
    bento: Bento,
    base: str | None,
    names: Sequence[str],
    platform: str | None,
    env: Mapping[str, str],
    labels: Mapping[str, str],
) -> ImagePlan:
    pins = requirements_of(bento, platform or "").read_text("utf-8")
    plan = plan_image(bento.info, base=base, names=names, platform=platform, env=env, requirements=pins)
    return plan._replace(labels={**plan.labels, **labels})


def _models(bento: Bento, store: ModelStore) -> list[Model]:
    """Return the models that the bento needs, if all of them may be loaded."""
    models = store.needed_by(bento.info)
    for model in models:
        model.check_trusted()  # in the image, nothing tells any more where it came from
    return models


def _verify(*items: Bento | Model) -> None:
    for item in items:
        item.check(thoroughly=True)


def _check_reach(output: Output, names: Sequence[str], env: Mapping[str, str]) -> None:
    """Refuse an engine that does not answer, or a name that leads nowhere, before the work, not after it."""
    if output.kind == "docker":
        from ..daemon.api import reached

        with reached(env):
            pass
    if output.kind == "registry":
        from ..backends.registry import check_place

        for name in names:
            check_place(name)


def _made_in_the_end(
    maker: ImageMaker, plans: Sequence[ImagePlan], sink: Sink, kind: Kind, has_sbom: bool
) -> ImageResult:
    """Make the image and write it, once more for each thing in the cache that is found to be damaged."""
    damages: set[str] = set()
    while True:
        try:
            return _made(maker, plans, sink, kind, has_sbom)
        except DamagedCache as e:
            if e.damage in damages:
                raise
            damages.add(e.damage)
            logger.warning("%s; making it anew", e.damage)


def _made(
    maker: ImageMaker, plans: Sequence[ImagePlan], sink: Sink, kind: Kind, has_sbom: bool
) -> ImageResult:
    """Make the image, of several platforms an index, and write it into the sink."""
    made = [maker.make(plan) for plan in plans]
    sboms = _sboms(maker, plans, made) if has_sbom else ()
    if kind == "registry":
        _note_origins(sink, made)
    image: Image | ImageIndex = (
        made[0].image if len(made) == 1 else ImageIndex(tuple(one.image for one in made))
    )
    size = megabytes(layer.descriptor.size for one in image.images for layer in one.layers)
    bento, plan = maker.bento, plans[0]
    with maker.step(f"Writing the image ({size})"):
        done = deliver(
            image,
            [one.facts for one in made],
            sink,
            plan.names,
            bento=bento.tag,
            cache=maker.cache,
            chained=kind == "docker",
            referrers=sboms,
        )
    return ImageResult(
        tag=bento.tag,
        base=made[0].base.name,
        names=plan.names,
        id=image.config_descriptor.digest if isinstance(image, Image) else image.root.digest,
        place=done.place,
        layers=done.layers,
        uses_gpu=plan.uses_gpu,
        digest=image.root.digest,
        platforms=tuple(str(one.platform) for one in image.images),
        referrers=sboms,
    )


def _sboms(
    maker: ImageMaker, plans: Sequence[ImagePlan], made: Sequence[PlatformImage]
) -> tuple[Referrer, ...]:
    from .components import sbom_of_image

    return tuple(
        sbom_of_image(one, plan, maker.bento, maker.models, maker.cache)
        for one, plan in zip(made, plans, strict=True)
    )


def _note_origins(sink: Sink, made: Sequence[PlatformImage]) -> None:
    """Tell a registry where the layers of the base come from: it may have them in another repository."""
    from ..backends.registry import RegistrySink

    if isinstance(sink, RegistrySink):
        for one in made:
            sink.note_origins(one.base.layers)
