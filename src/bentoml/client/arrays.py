"""Arrays: what of numpy, torch and tensorflow is one, and the NPY format, which needs no text for its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..exceptions import BentoMLException
from ..sdk.npy import NPY, read_npy, write_npy
from .optional import is_instance_of, load_optional

__all__ = ["NPY", "from_npy", "takes_npy", "to_array", "write_npy"]


def takes_npy(schema: Mapping[str, Any]) -> bool:
    """Say whether a value with this schema may be sent, or asked for, as NPY."""
    return schema.get("contentMediaType") == NPY


def to_array(value: object) -> Any:
    """Return the numpy array that holds an array or a tensor; None where the value is neither, or no such array can."""
    if is_instance_of(value, "numpy", "ndarray"):
        return value
    if is_instance_of(value, "torch", "Tensor"):
        value = value.detach().cpu()  # type: ignore[attr-defined]  # a tensor of an optional library
    elif not is_instance_of(value, "tensorflow", "Tensor"):
        return None
    try:
        return value.numpy()  # type: ignore[attr-defined]  # as above
    except TypeError:  # bfloat16, which numpy does not have
        return None


def from_npy(body: bytes) -> Any:
    """Return the array that a body in the NPY format holds."""
    load_optional("numpy", "an array as the answer of an API", "numpy")
    try:
        return read_npy(body)
    except ValueError as e:
        raise BentoMLException(f"the server's answer is not an array in the NPY format: {e}") from e
