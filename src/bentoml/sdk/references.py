"""References to models: class attributes that become the model, or its folder, once an instance asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import overload

from ..config import environment
from ..exceptions import MissingDependencyException
from ..store import current
from ..store.aliases import parse_taglike
from ..store.manifest import ModelRef
from ..store.models import Model
from ..tag import Tag

__all__ = ["BentoModel", "HuggingFaceModel"]


@dataclass(frozen=True, init=False)
class BentoModel:
    """Name a model of the store: ``model = BentoModel("iris:latest")`` gives it as ``self.model``.

    Unlike ``bentoml.models.get``, it is looked for only when it is used, or when the service is built or served. An alias,
    as in ``iris@prod``, stays the text that it is.
    """

    tag: Tag | str

    def __init__(self, tag: str | Tag) -> None:
        object.__setattr__(self, "tag", parse_taglike(tag))  # frozen, like what it names

    @overload
    def __get__(self, instance: None, owner: type) -> BentoModel: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Model: ...
    def __get__(self, instance: object | None, owner: type) -> BentoModel | Model:
        return self if instance is None else self.stored

    @cached_property
    def stored(self) -> Model:
        """The model in the store.

        Raises:
            NotFound: the tag means none.
        """
        return current.model_store().get(self.tag)

    def resolve(self) -> Model:
        """Return the model in the store."""
        return self.stored

    def to_info(self, alias: str | None = None) -> ModelRef:
        """Return what a bento says of the model."""
        return ModelRef.of(self.stored.info, alias=alias or self.stored.alias)


class HuggingFaceModel:
    """Name a model on Hugging Face: ``path = HuggingFaceModel("org/name")`` gives its local folder as ``self.path``.

    ``include`` and ``exclude`` are patterns of file names. ``BENTOML_HF_CACHE_DIR`` says where downloads are kept,
    ``HF_ENDPOINT`` where they come from.
    """

    def __init__(
        self,
        model_id: str,
        revision: str = "main",
        endpoint: str | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
    ) -> None:
        self.model_id = model_id
        self.revision = revision
        self.endpoint = endpoint or environment().get("HF_ENDPOINT")
        self.include = None if include is None else list(include)
        self.exclude = None if exclude is None else list(exclude)

    @overload
    def __get__(self, instance: None, owner: type) -> HuggingFaceModel: ...
    @overload
    def __get__(self, instance: object, owner: type) -> str: ...
    def __get__(self, instance: object | None, owner: type) -> HuggingFaceModel | str:
        return self if instance is None else self.path

    @cached_property
    def path(self) -> str:
        """The local folder of the model; what is missing there is downloaded first.

        Raises:
            MissingDependencyException: `huggingface_hub` is not installed.
        """
        try:
            hub = import_module("huggingface_hub")
        except ImportError as e:
            raise MissingDependencyException(
                f"model `{self.model_id}` is on Hugging Face; install `huggingface_hub` to use it"
            ) from e
        return str(
            hub.snapshot_download(
                self.model_id,
                revision=self.revision,
                endpoint=self.endpoint,
                cache_dir=environment().get("BENTOML_HF_CACHE_DIR"),
                allow_patterns=self.include,
                ignore_patterns=self.exclude,
            )
        )

    def resolve(self) -> str:
        """Return the local folder of the model."""
        return self.path

    def __repr__(self) -> str:
        return f"HuggingFaceModel({self.model_id!r}, revision={self.revision!r})"
