"""References to models that lie elsewhere: a class attribute that becomes a path once an instance asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from typing import overload

from ..config import environment
from ..exceptions import MissingDependencyException

__all__ = ["HuggingFaceModel"]


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
