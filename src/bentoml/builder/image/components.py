"""What an image consists of, for its SBOM: the bento, its packages, its models, and the packages of the system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ... import __version__
from ...store.bentos import Bento
from ...store.digest import Digest
from ...store.models import Model
from ..oci.cache import Cache
from ..oci.debian.present import present_packages
from ..oci.model import Referrer
from ..oci.sbom import Component, hub_component, python_components, sbom_of, system_component
from .plan import ImagePlan
from .platform_image import WHEELS, PlatformImage, is_wheel, requirements_of

__all__ = ["sbom_of_image"]


def sbom_of_image(
    made: PlatformImage, plan: ImagePlan, bento: Bento, models: Sequence[Model], cache: Cache
) -> Referrer:
    """Return the SBOM of an image that was made of a bento and its models, for the plan."""
    base = made.base
    digest = str(base.digest or Digest.of_json([str(layer.diff_id) for layer in base.layers]))
    return sbom_of(
        made.image,
        name=str(bento.tag),
        base=Component(base.title, digest, "CONTAINER", hashes=(("SHA256", digest[7:]),)),
        parts=[
            *_own_parts(bento, models, str(plan.platform)),
            *(system_component(p.name, p.version, p.architecture, p.distribution) for p in present_packages(base, cache)),
        ],
        epoch=plan.epoch,
        tool=f"bentoml-{__version__}",
    )  # fmt: skip


def _own_parts(bento: Bento, models: Sequence[Model], platform: str) -> Iterator[Component]:
    yield Component(*_named(bento), "APPLICATION", hashes=(("SHA256", bento.digest.hex),))
    yield from python_components(requirements_of(bento, platform).read_text("utf-8"))
    for entry in bento.tree.entries:
        if is_wheel(entry.path):
            name, version = entry.path.removeprefix(WHEELS).split("-")[:2]
            yield Component(name, version, hashes=(("SHA256", entry.digest.hex),))
    for model in models:
        yield Component(*_named(model), "OTHER", hashes=(("SHA256", model.digest.hex),))
    if bento.info.hub_models:
        from .hub import hub_models

        yield from (hub_component(model.model_id, model.revision) for model in hub_models(bento.info))


def _named(item: Bento | Model) -> tuple[str, str]:
    return item.tag.name, item.tag.version or ""
