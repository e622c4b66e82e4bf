"""The `models` of a build file: which ones of the store a bento needs besides those that its services name."""

from __future__ import annotations

import re
from typing import NamedTuple

from ...exceptions import BentoMLException, NotFound
from ...store.aliases import Alias
from ...store.manifest import ModelInfo
from ...store.models import ModelStore
from ...tag import Tag
from ..build_file.fields import Fields

__all__ = ["ModelSpec", "model_info", "read_models"]

_TERM = re.compile(r"(label|metadata):([^=\s]+)(?:=(\S*))?")
_RULE = "it is one or more of `label:KEY`, `label:KEY=VALUE`, `metadata:KEY`, `metadata:KEY=VALUE`, with spaces between them"


class ModelSpec(NamedTuple):
    """A model that the bento needs: its tag or alias of the store, and another name under which its code may ask for it.

    ``filter`` says what the labels and metadata of the one that is taken have to be: the newest of those that fit.
    """

    tag: str
    alias: str | None = None
    filter: str | None = None


def read_models(fields: Fields) -> tuple[ModelSpec, ...]:
    """Read the list; what is wrong is noted there."""
    specs = []
    for item in fields.sections("models", text_as="tag"):
        item.check_keys(("tag", "filter", "alias"))
        tag = item.text("tag", required=True)
        wanted = item.text("filter")
        if wanted and not all(_TERM.fullmatch(term) for term in wanted.split()):
            item.mistake("filter", f"is {wanted!r}; {_RULE}")
        if tag and (text := _named(item, tag)):
            specs.append(ModelSpec(text, _alias(item), wanted or None))
    return tuple(specs)


def model_info(spec: ModelSpec, models: ModelStore) -> ModelInfo:
    """Return what the store knows of the model that is meant now.

    Raises:
        NotFound: there is none, or none that the filter lets through.
    """
    if spec.filter is None:
        return models.get(spec.tag).info
    tag = str(models.resolve(spec.tag)) if "@" in spec.tag else spec.tag.removesuffix(":latest")
    terms = [match.groups() for term in spec.filter.split() if (match := _TERM.fullmatch(term))]
    found = models.list(
        tag,
        labels={key: value for kind, key, value in terms if kind == "label"},
        metadata={key: value for kind, key, value in terms if kind == "metadata"},
    )
    if not found:
        raise NotFound(
            f"no model `{spec.tag}` fits the filter `{spec.filter}`; `bentoml models list {Tag.from_str(tag).name}` shows what is there"
        )
    return found[0].info


def _named(item: Fields, text: str) -> str:
    """Return a tag or an alias as the store writes it; empty if it is neither."""
    try:
        return str(Alias.parse(text) if "@" in text else Tag.from_str(text))
    except (ValueError, BentoMLException) as e:
        item.mistake("", f"names no model: {e}")
        return ""


def _alias(item: Fields) -> str | None:
    """Return the name by which the bento's code asks for a model, which follows the grammar of tags."""
    text = item.text("alias")
    try:
        if text:
            Tag.from_str(text)
    except (ValueError, BentoMLException) as e:
        item.mistake("alias", f"is no name for a model: {e}")
    return text or None
