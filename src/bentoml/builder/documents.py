"""Reading build files: YAML and TOML as plain data, with everything refused that could mean two things."""

from __future__ import annotations

import tomllib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ..exceptions import BentoMLConfigException

__all__ = ["read_document", "read_text"]

_MAX_BYTES = 1 << 20
_MAX_NODES = 50_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser is ten times as fast


class _StrictLoader(_Loader):  # type: ignore[misc]  # the base is one of two classes
    """Load YAML safely; refuse a key that is written twice and aliases that unfold into something huge."""

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None and _weight(node, {}) > _MAX_NODES:
            raise yaml.YAMLError(f"the document unfolds into more than {_MAX_NODES} values")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.YAMLError(
                    f"the key `{key.value}` is written twice (line {key.start_mark.line + 1})"
                )
            seen.add(key.value if isinstance(key.value, str) else id(key))
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_text(path: Path) -> str:
    """Return a build file's text.

    Raises:
        BentoMLConfigException: the file cannot be read, is no UTF-8 or is larger than a build file can be.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise BentoMLConfigException(
                f"`{path.name}` is larger than {_MAX_BYTES >> 20} MiB; is it the right file?"
            )
        return data.decode("utf-8-sig")
    except OSError as e:
        raise BentoMLConfigException(f"`{path}` cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise BentoMLConfigException(
            f"`{path.name}` is not UTF-8 text (byte {e.start}); save it as UTF-8"
        ) from e


def read_document(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file, or a TOML file by its suffix, holds; an empty file is an empty mapping.

    Raises:
        BentoMLConfigException: it cannot be read, is not well formed, or is not a mapping.
    """
    text = read_text(path)
    try:
        data = (
            tomllib.loads(text) if path.suffix == ".toml" else yaml.load(text, _StrictLoader)
        )  # a safe loader
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError, ValueError) as e:
        raise BentoMLConfigException(f"`{path.name}` is not well formed: {e}") from e
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise BentoMLConfigException(
            f"`{path.name}` holds a {type(data).__name__}; a build file is a mapping of keys"
        )
    return data


def _weight(node: Any, known: dict[int, int]) -> int:
    """Return how many values a node unfolds into; an alias counts as what it stands for."""
    weight = known.get(id(node))
    if weight is not None:
        if weight == 0:
            raise yaml.YAMLError("an alias contains itself")
        return weight
    if isinstance(node, yaml.ScalarNode):
        return 1
    known[id(node)] = 0
    children = [n for pair in node.value for n in pair] if isinstance(node, yaml.MappingNode) else node.value
    known[id(node)] = 1 + sum(_weight(child, known) for child in children)
    return known[id(node)]
