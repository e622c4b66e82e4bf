"""Arrays: what of numpy, torch and tensorflow is one, and the NPY format, which needs no text for its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..exceptions import BentoMLException
from ..sdk.values.npy import NPY, read_npy, write_npy
from .optional import is_instance_of, load_optional

__all__ = ["NPY", "from_npy", "is_array", "takes_npy", "to_array", "write_npy"]


def takes_npy(schema: Mapping[str, Any]) -> bool:
    """Say whether a value with this schema may be sent, or asked for, as NPY."""
    return schema.get("contentMediaType") == NPY


def is_array(value: object) -> bool:
    """Say whether a value is an array of numpy or a tensor of torch or tensorflow."""
    return any(
        is_instance_of(value, module, name)
        for module, name in (("numpy", "ndarray"), ("torch", "Tensor"), ("tensorflow", "Tensor"))
    )


def to_array(value: Any) -> Any:
    """Return the numpy array that holds an array or a tensor; None where the value is neither, or no such array can."""
    if is_instance_of(value, "numpy", "ndarray"):
        return value
    if not is_array(value):
        return None
    try:
        return value.detach().cpu().numpy() if hasattr(value, "detach") else value.numpy()
    except TypeError:  # bfloat16, which numpy does not have
        return None


def from_npy(body: bytes) -> Any:
    """Return the array that a body in the NPY format holds."""
    load_optional("numpy", "an array as the answer of an API", "numpy")
    try:
        return read_npy(body)
    except ValueError as e:
        raise BentoMLException(f"the server's answer is not an array in the NPY format: {e}") from e
