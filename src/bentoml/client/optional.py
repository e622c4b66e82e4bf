"""Libraries that only some values need: loaded when such a value comes."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from ..exceptions import MissingDependencyException

__all__ = ["is_instance_of", "load_optional"]


def load_optional(module: str, purpose: str, extra: str) -> Any:
    """Return an imported module; ``MissingDependencyException`` says what to install for what purpose."""
    try:
        return import_module(module)
    except ImportError as e:
        raise MissingDependencyException(
            f"{purpose} needs `{module.partition('.')[0]}`; install it with `pip install 'bentoml[{extra}]'`"
        ) from e


def is_instance_of(value: object, module: str, name: str) -> bool:
    """Say whether a value is of a class of an optional library, which whoever has such a value has loaded."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))
