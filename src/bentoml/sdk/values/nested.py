"""Names of parts that are paths, as in ``items.0.image``: where a file lies in an object of a form."""

from __future__ import annotations

from typing import Any

__all__ = ["place"]

_DEEPEST = 20


def place(tree: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a place of an object; objects on the way to it are made, items of lists have to be there.

    Raises:
        ValueError: the path leads to no place, or too deep.
    """
    *steps, last = path.split(".")
    if len(steps) > _DEEPEST:
        raise ValueError(f"it leads deeper than {_DEEPEST} levels")
    node: Any = tree
    for step in steps:
        if isinstance(node, dict):
            if node.get(step) is None:
                node[step] = {}
            node = node[step]
        else:
            node = node[_index(node, step)]
    if isinstance(node, dict):
        node[last] = value
    else:
        node[_index(node, last)] = value


def _index(node: Any, step: str) -> int:
    if not isinstance(node, list):
        raise ValueError(f"there is no object that `{step}` could be in")
    if not (step.isascii() and step.isdigit() and len(step) < 8 and int(step) < len(node)):
        raise ValueError(f"the list has no item `{step}`; send its items first, as JSON")
    return int(step)
