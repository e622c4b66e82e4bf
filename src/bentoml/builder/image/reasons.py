"""Reasons: why a layer of an image had to be written, told by what the last image of the same bento was. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..oci.model import Layer

__all__ = ["Facts", "reason"]

_MODEL = "model "


class Facts(NamedTuple):
    """What an image was made of: digests of its base, its lock and its runtime, its models, and its layers from the bottom up."""

    base: str
    requirements: str
    runtime: str
    models: tuple[str, ...]
    layers: tuple[str, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, object] | None) -> Facts | None:
        """Return what `to_json` gave; what cannot be read counts as unknown."""
        found = value or {}
        base, requirements, runtime, models, layers = (found.get(key) for key in cls._fields)
        if not isinstance(models, list) or not isinstance(layers, list):
            return None
        return cls(str(base), str(requirements), str(runtime), (*map(str, models),), (*map(str, layers),))

    def to_json(self) -> dict[str, object]:
        """Return the facts as JSON holds them."""
        return self._asdict()


def reason(layers: Sequence[Layer], number: int, now: Facts, before: Facts | None, *, chained: bool) -> str:
    """Say why the layer with this number (from the bottom) was written, in a few words.

    ``before`` are the facts of the last image, if there was one; ``chained`` means that the place knows a layer by all
    that lie under it, as engines do.
    """
    layer = layers[number]
    if before is None:
        return "first image"
    if str(layer.diff_id) in before.layers:
        changed = any(digest not in before.layers for digest in now.layers[:number])
        return "what lies under it changed" if chained and changed else "was not there"
    match layer.kind:
        case "base" | "user":
            return "the base changed"
        case "model":
            return _of_model(layer.about, before)
        case "system":
            return "the base changed" if now.base != before.base else "system packages changed"
        case "python" if now.requirements != before.requirements:
            return "requirements changed"
        case "python" if now.runtime != before.runtime:
            return "the runtime changed"
        case "python":
            return "the base changed" if now.base != before.base else "was not compiled before"
        case "source":
            return "the bento changed"


def _of_model(about: str, before: Facts) -> str:
    """Say whether a model is another version of one that was there; several in one layer have no name."""
    known = {_name(model) for model in before.models}
    is_new = about.startswith(_MODEL) and _name(about.removeprefix(_MODEL)) not in known
    return "model added" if is_new else "models changed"


def _name(model: str) -> str:
    """Return the name in ``name:version``, or in ``owner/name@commit``."""
    return re.split("[:@]", model, maxsplit=1)[0]
