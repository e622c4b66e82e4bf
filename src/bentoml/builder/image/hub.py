"""The layers of the models on Hugging Face that a bento was built with."""

from __future__ import annotations

from collections.abc import Iterator

from ...sdk.references import HuggingFaceModel
from ...store.manifest import BentoInfo
from ..oci.cache import Cache
from ..oci.codec import Codec
from ..oci.model import Layer
from ..oci.parts.hub_layers import HubFiles, hub_layers

__all__ = ["hub_models", "layers_of_hub"]


def layers_of_hub(
    info: BentoInfo, cache: Cache, *, epoch: int, codec: Codec, offline: bool
) -> tuple[Layer, ...]:
    """Return the layers, each model at the commit of the build; what is not on this machine is fetched.

    Raises:
        BentoMLException: a model cannot be fetched.
    """
    return hub_layers(_files(info, offline=offline), cache, epoch=epoch, codec=codec)


def hub_models(info: BentoInfo) -> list[HuggingFaceModel]:
    """Return the models on Hugging Face, each once, by name."""
    models = {str(ref.tag): HuggingFaceModel.from_info(ref) for ref in info.hub_models}
    return [model for _, model in sorted(models.items())]


def _files(info: BentoInfo, *, offline: bool) -> Iterator[HubFiles]:
    for model in hub_models(info):
        yield HubFiles(f"{model.model_id}@{model.revision[:12]}", model.files(offline=offline))
