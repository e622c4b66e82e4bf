"""YAML documents as plain data; the library that reads and writes them is loaded by the first one.

What only declares a service, as the child process of a build does, needs none.
"""

from __future__ import annotations

from typing import Any

__all__ = ["dump", "load"]


def load(text: str) -> dict[str, Any]:
    """Read a document that is one mapping with string keys.

    Raises:
        BentoMLException: it is not valid YAML, not such a mapping, names a Python type, repeats a key, is nested
            absurdly deep, or would grow beyond all measure by aliases.
    """
    from .yaml_document import load as load_yaml

    return load_yaml(text)


def dump(value: object) -> str:
    """Write a value in block style, keys in their order."""
    from .yaml_document import dump as dump_yaml

    return dump_yaml(value)
