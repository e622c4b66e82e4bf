"""Arrays: how nested JSON lists become ``numpy.ndarray`` and back, and the markers that say dtype and shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DType", "Shape", "TensorSchema", "as_array"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Say the shape of an array; ``-1`` is a dimension of any length."""

    dimensions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DType:
    """Say the element type of an array, e.g. ``float32``."""

    dtype: str


@dataclass(frozen=True, slots=True)
class TensorSchema:
    """Take nested lists of numbers as an array, of this dtype and shape if they are given."""

    format: str = "numpy-array"
    dtype: str | None = None
    shape: tuple[int, ...] | None = None

    def to_array(self, value: Any) -> np.ndarray[Any, Any]:
        """Return the array; ``ValueError`` says why a value is none."""
        return as_array(value, self.dtype, self.shape)

    def json_schema(self) -> dict[str, Any]:
        """Return the schema as `/schema.json` shows it."""
        schema: dict[str, Any] = {"type": "tensor", "format": self.format}
        if self.dtype is not None:
            schema["dtype"] = self.dtype
        if self.shape is not None:
            schema |= {"shape": list(self.shape), "dim": len(self.shape)}
        return schema

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.to_array,
            serialization=core_schema.plain_serializer_function_ser_schema(_to_list, when_used="json"),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()


def as_array(
    value: Any, dtype: str | None = None, shape: Sequence[int] | None = None
) -> np.ndarray[Any, Any]:
    """Return a value as an array of a dtype and shape; nothing is copied that already fits.

    ``None`` among numbers is NaN (JSON has no NaN). A number that the dtype cannot hold is an error, never
    cut off or wrapped around.

    Raises:
        ValueError: the value is not a number or nested lists of one shape, or does not fit dtype or shape.
    """
    import numpy as np

    if isinstance(value, str | bytes | dict) or value is None:
        raise ValueError(f"an array is written as nested lists of numbers, not as {type(value).__name__}")
    try:
        array = _natural(np.asarray(value), value)
        if dtype is not None and array.dtype != np.dtype(dtype):
            array = _converted(array, np.dtype(dtype))
    except (TypeError, OverflowError, ValueError) as e:
        raise ValueError(f"not an array: {e}") from e
    return array if shape is None else _shaped(array, tuple(shape))


def _natural(array: np.ndarray[Any, Any], value: Any) -> np.ndarray[Any, Any]:
    """Refuse the element types that numpy falls back to when it is given something else than numbers."""
    import numpy as np

    if array.dtype.kind == "O" and array is not value:
        return np.asarray(value, dtype=np.float64)  # None is NaN; anything else raises
    if array.dtype.kind in "SV" and array is not value:
        raise ValueError("it holds bytes")
    strings = array.dtype.kind == "U" and array is not value
    if strings and not all(isinstance(item, str) for item in np.asarray(value, dtype=object).flat):
        raise ValueError("strings and numbers are mixed")
    return array


def _converted(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    if dtype.kind not in "iu" or array.dtype.kind == "b":
        return array.astype(dtype)
    exact = array.astype(np.float64) if array.dtype.kind == "U" else array
    with np.errstate(invalid="ignore"):
        converted = exact.astype(dtype)
    if not (converted == exact).all():
        raise ValueError(f"a number does not fit {dtype}")
    return converted


def _shaped(array: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if _fits(array.shape, shape):
        return array
    if shape.count(-1) > 1:
        raise ValueError(f"an array of shape {array.shape} is not of shape {shape}")
    return array.reshape(shape)


def _fits(actual: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(actual) == len(wanted) and all(w in (-1, a) for a, w in zip(actual, wanted, strict=True))


def _to_list(array: Any) -> Any:
    return array.tolist() if hasattr(array, "tolist") else array
