"""JSON from a server, which may be nested deeper than Python reads."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["loads", "raw_decode"]

_raw_decode = json.JSONDecoder().raw_decode


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is none, or nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError as e:
        raise ValueError("it is nested too deep") from e


def raw_decode(text: str) -> tuple[Any, int]:
    """Return the first of several values, and where it ends.

    Raises:
        ValueError: it is none, or nested too deep.
    """
    try:
        return _raw_decode(text)
    except RecursionError as e:
        raise ValueError("it is nested too deep") from e
