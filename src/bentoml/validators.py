"""Markers for annotations: ``Annotated[Path, bentoml.validators.ContentType("image/*")]``."""

from __future__ import annotations

from .sdk.files import ContentType, FileSchema
from .sdk.images import PILImageEncoder
from .sdk.tensors import DType, Shape, TensorSchema

__all__ = ["ContentType", "DType", "FileSchema", "PILImageEncoder", "Shape", "TensorSchema"]
