"""Markers for annotations: ``Annotated[Path, bentoml.validators.ContentType("image/*")]``."""

from __future__ import annotations

from .sdk.files import ContentType, FileSchema
from .sdk.frames import DataframeSchema, SeriesSchema
from .sdk.images import PILImageEncoder
from .sdk.tensors import DType, Shape, TensorSchema

__all__ = [
    "ContentType",
    "DType",
    "DataframeSchema",
    "FileSchema",
    "PILImageEncoder",
    "SeriesSchema",
    "Shape",
    "TensorSchema",
]
