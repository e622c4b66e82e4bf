"""Array parameters and results: the markers that say dtype and shape, and the schema that `ndarray` and tensors get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from ...exceptions import MissingDependencyException
from .arrays import as_array, check_dtype, dtype_name
from .npy import NPY

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DType", "Shape", "TensorFormat", "TensorSchema"]

TensorFormat = Literal["numpy-array", "torch-tensor", "tf-tensor"]

_LIBRARIES = {"torch-tensor": "torch", "tf-tensor": "tensorflow"}


@dataclass(frozen=True, slots=True, init=False)
class Shape:
    """Say the shape of an array; ``-1`` is a dimension of any length."""

    dimensions: tuple[int, ...]

    def __init__(self, dimensions: Sequence[int]) -> None:
        wrong = [d for d in dimensions if not isinstance(d, int) or isinstance(d, bool) or d < -1]
        if wrong:
            raise ValueError(f"a dimension is a whole number, or -1 for any length, not `{wrong[0]!r}`")
        object.__setattr__(self, "dimensions", tuple(dimensions))


@dataclass(frozen=True, slots=True, init=False)
class DType:
    """Say the element type of an array, e.g. ``float32``; a type of numpy or torch names itself."""

    dtype: str

    def __init__(self, dtype: Any) -> None:
        object.__setattr__(self, "dtype", dtype_name(dtype))


@dataclass(frozen=True, slots=True)
class TensorSchema:
    """Take nested lists of numbers as an array of this dtype and shape if they are given."""

    format: TensorFormat = "numpy-array"
    dtype: str | None = None
    shape: tuple[int, ...] | None = None

    def to_array(self, value: Any) -> np.ndarray[Any, Any]:
        """Return the array; ``ValueError`` says why a value is none."""
        return as_array(value, self.dtype, self.shape)

    def to_value(self, value: Any) -> Any:
        """Return the array as the library of the annotation has it."""
        array = self.to_array(value)
        if self.format == "torch-tensor":
            return _to_torch(array, self.dtype)
        if self.format == "tf-tensor":
            return _library("tf-tensor").convert_to_tensor(array, dtype=self.dtype)
        return array

    def json_schema(self) -> dict[str, Any]:
        """Return the schema as `/schema.json` shows it."""
        schema: dict[str, Any] = {"type": "tensor", "format": self.format}
        if self.dtype is not None:
            schema["dtype"] = self.dtype
        if self.shape is not None:
            schema |= {"shape": list(self.shape), "dim": len(self.shape)}
        return schema | {"contentMediaType": NPY}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        check_dtype(self.dtype)
        return core_schema.no_info_plain_validator_function(
            self.to_value,
            serialization=core_schema.plain_serializer_function_ser_schema(self._to_list, when_used="json"),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()

    def _to_list(self, value: Any) -> Any:
        return None if value is None else self.to_array(value).tolist()


def _to_torch(array: np.ndarray[Any, Any], dtype: str | None) -> Any:
    torch = _library("torch-tensor")
    if array.dtype.kind == "U":
        raise ValueError("a tensor holds numbers, not text")
    if not array.flags.writeable:
        array = array.copy()
    try:
        tensor = torch.from_numpy(array)
    except TypeError as e:  # torch has fewer types of elements
        raise ValueError(str(e)) from e
    return tensor if dtype is None else tensor.to(getattr(torch, dtype))


def _library(tensor_format: str) -> Any:
    name = _LIBRARIES[tensor_format]
    try:
        return import_module(name)
    except ImportError as e:
        raise MissingDependencyException(
            f"an API takes `{name}` tensors; install it, e.g. `pip install {name}`"
        ) from e
