"""Markers for annotations: ``Annotated[Path, bentoml.validators.ContentType("image/*")]``."""

from __future__ import annotations

from .sdk.values.files import ContentType, FileSchema
from .sdk.values.frames import DataframeSchema, SeriesSchema
from .sdk.values.images import PILImageEncoder
from .sdk.values.tensors import DType, Shape, TensorSchema

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
