"""Names of parts that are paths, as in ``items.0.image``: where a file lies in an object of a form."""

from __future__ import annotations

from typing import Any

__all__ = ["find", "place"]

_DEEPEST = 20

Way = list[str | int]


def find(tree: Any, path: str) -> Way | None:
    """Return the way to the null that a path means, or None; the keys on it may have dots in them, as ``files.a.txt``.

    Where two would do, it is the longer key.
    """
    way: Way = []
    steps = path.split(".")
    node = tree
    while steps and len(steps) <= _DEEPEST + 1:
        if isinstance(node, dict):
            size = next((n for n in range(len(steps), 0, -1) if _leads_on(node, steps, n)), 0)
            key: str | int = ".".join(steps[:size])
        else:
            size = int(isinstance(node, list) and _is_index(node, steps[0]))
            key = int(steps[0]) if size else ""
        if not size:
            return None
        way.append(key)
        node, steps = node[key], steps[size:]
    return way if node is None and not steps else None


def place(tree: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a place of an object: where a null stands for it, or, as callers may leave that out, where it leads.

    Objects on the way to it are made, items of lists have to be there.

    Raises:
        ValueError: the path leads to no place, or too deep.
    """
    *way, last = find(tree, path) or path.split(".")
    if len(way) > _DEEPEST:
        raise ValueError(f"it leads deeper than {_DEEPEST} levels")
    node: Any = tree
    for step in way:
        if isinstance(node, dict):
            if node.get(step) is None:
                node[step] = {}
            node = node[step]
        else:
            node = node[_index(node, str(step))]
    if isinstance(node, dict):
        node[last] = value
    else:
        node[_index(node, str(last))] = value


def _leads_on(node: dict[str, Any], steps: list[str], size: int) -> bool:
    """Say whether the first steps are a key of an object behind which the others may lead to a null."""
    key = ".".join(steps[:size])
    if size == len(steps):
        return key in node and node[key] is None
    return isinstance(node.get(key), dict | list)


def _index(node: Any, step: str) -> int:
    if not isinstance(node, list):
        raise ValueError(f"there is no object that `{step}` could be in")
    if not _is_index(node, step):
        raise ValueError(f"the list has no item `{step}`; send its items first, as JSON")
    return int(step)


def _is_index(node: list[Any], step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) < 8 and int(step) < len(node)
