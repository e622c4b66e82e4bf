"""Signatures: which methods of a model may be called, and how their inputs are put together in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .metadata import plain_value

__all__ = ["plain_signatures"]

_KEYS = {"batchable", "batch_dim", "input_spec", "output_spec"}


def plain_signatures(signatures: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return signatures as the manifest holds them; `batch_dim` is there only if `batchable`, as two numbers.

    Raises:
        ValueError: they are not a mapping of method names to mappings with these keys.
    """
    if not isinstance(signatures, Mapping | None):
        raise ValueError(f"signatures must be a dict, not `{type(signatures).__name__}`")
    return {str(method): _signature(str(method), value) for method, value in (signatures or {}).items()}


def _signature(method: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not _KEYS.issuperset(value):
        raise ValueError(
            f"signature `{method}` must be a dict with keys of `batchable`, `batch_dim`, `input_spec`, `output_spec`, "
            f"not `{value!r}`"
        )
    batchable = bool(value.get("batchable", False))
    plain: dict[str, Any] = {"batchable": batchable}
    if batchable:
        plain["batch_dim"] = _batch_dim(method, value.get("batch_dim", 0))
    for key in ("input_spec", "output_spec"):
        if value.get(key) is not None:
            plain[key] = plain_value(value[key], f"signatures.{method}.{key}")
    return plain


def _batch_dim(method: str, value: object) -> list[int]:
    match value:
        case int():
            return [value, value]
        case [int() as first, int() as second]:
            return [first, second]
    raise ValueError(f"`batch_dim` of signature `{method}` must be a number or two, not `{value!r}`")
