"""What a user may write about an item: labels and metadata, reduced to plain values that survive a manifest."""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

__all__ = ["identity_of", "plain_labels", "plain_metadata", "plain_value"]

_HALF = re.compile("[\ud800-\udfff]")


def plain_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Return labels as plain strings.

    Raises:
        ValueError: they are not a mapping of strings to strings.
    """
    if not isinstance(labels, Mapping | None):
        raise ValueError(f"labels must be a dict of strings, not `{type(labels).__name__}`")
    for key, value in (labels or {}).items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise ValueError(
                f"labels must be strings, but {key!r}: {value!r} is not; write `{key!s}`: `{value!s}`"
            )
    return {
        _text(key, "a label"): _text(value, f"the label {key!r}") for key, value in (labels or {}).items()
    }


def plain_metadata(metadata: Mapping[str, Any] | None, what: str = "metadata") -> dict[str, Any]:
    """Return metadata as plain Python values: NumPy scalars are converted, tuples become lists.

    ``what`` is what the error calls them.

    Raises:
        ValueError: they are not a mapping with string keys, or a value is of another kind.
    """
    if not isinstance(metadata, Mapping | None):
        raise ValueError(f"{what} must be a dict, not `{type(metadata).__name__}`")
    return {} if metadata is None else _plain_mapping(metadata, what)


def plain_value(value: object, where: str) -> Any:
    """Return one value as `plain_metadata` does; ``where`` names it in the error."""
    value = _without_numpy(value)
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, f"`{where}`")
        case int():
            return int(value)
        case float():
            return float(value)
        case complex():
            return complex(value)
        case bytes() | bytearray():
            return bytes(value)
        case datetime():
            return value.astimezone(UTC) if value.tzinfo else value
        case date():
            return value
        case Mapping():
            return _plain_mapping(value, where)
        case list() | tuple():
            return [plain_value(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise ValueError(
        f"metadata entries must be basic python types, but `{where}` is a `{type(value).__module__}."
        f"{type(value).__qualname__}`; use str, bytes, bool, int, float, complex, date, datetime, list, dict or None"
    )


def identity_of(value: object) -> object:
    """Return a plain value as JSON can hold it, such that different values stay different."""
    match value:
        case bool():
            return value
        case Mapping():
            return {key: identity_of(item) for key, item in value.items()}
        case list() | tuple():
            return [identity_of(item) for item in value]
        case bytes():
            return {"!bytes": b64encode(value).decode()}
        case date():
            return {"!time": value.isoformat()}
        case float() | complex():
            return {"!number": repr(value)}
    return value


def _plain_mapping(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise ValueError(
                f"the keys of `{where}` must be strings, but {key!r} is a `{type(key).__name__}`"
            )
    return {
        _text(key, f"a key of `{where}`"): plain_value(item, f"{where}.{key}") for key, item in value.items()
    }


def _text(value: str, what: str) -> str:
    """Return a text as a plain one; half of a character, as undecodable bytes become, cannot be written anywhere."""
    if _HALF.search(value):
        raise ValueError(
            f"{what} is {value!r}, which holds half of a character and cannot be stored; mend it"
        )
    return str.__str__(value)


def _without_numpy(value: object) -> object:
    numpy = sys.modules.get("numpy")  # a NumPy scalar cannot be here unless NumPy is
    return value.item() if numpy is not None and isinstance(value, numpy.generic) else value
