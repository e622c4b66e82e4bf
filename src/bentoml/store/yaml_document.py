"""YAML documents, read without executing or believing anything and written without surprises."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from ..exceptions import BentoMLException

__all__ = ["dump", "load"]

if TYPE_CHECKING or not yaml.__with_libyaml__:
    from yaml import SafeDumper as _BaseDumper
    from yaml import SafeLoader as _BaseLoader
else:  # six times faster
    from yaml import CSafeDumper as _BaseDumper
    from yaml import CSafeLoader as _BaseLoader

_ALIAS = re.compile(r"(?:^|[\s,\[:-])\*\w", re.MULTILINE)
_MAX_NODES = 100_000
_MAX_DEPTH = 200
_MAY_BE_DEEP = re.compile(rf"^[ ?:-]{{{_MAX_DEPTH // 2},}}", re.MULTILINE)
_LONG = 64  # characters: such a text is not worth being remembered

_MAP = "tag:yaml.org,2002:map"
_SEQ = "tag:yaml.org,2002:seq"
_STR = "tag:yaml.org,2002:str"
_resolver: Any = yaml.SafeLoader("")


def _tag_of_plain(value: str) -> str:
    """Return what a scalar without quotes is: a text, a number, a time."""
    tag: str = _resolver.resolve(yaml.ScalarNode, value, (True, False))
    return tag


_remembered_tag_of_plain = lru_cache(maxsize=4096)(_tag_of_plain)


class _Loader(_BaseLoader):
    """Refuse duplicate keys; know the two Python values that BentoML 1.x writes into metadata."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str:
        if kind is not yaml.ScalarNode:
            return _MAP if kind is yaml.MappingNode else _SEQ
        if not implicit[0]:
            return _STR
        return (_remembered_tag_of_plain if len(value) < _LONG else _tag_of_plain)(value)

    def quick_value(self, node: yaml.Node) -> Any:
        """Return what a node without aliases means; the usual is done here, all else is left to PyYAML."""
        if node.tag == _STR and type(node) is yaml.ScalarNode:
            return node.value
        if node.tag == _SEQ and type(node) is yaml.SequenceNode:
            return [self.quick_value(item) for item in node.value]
        if node.tag == _MAP and _has_plain_keys(node):
            mapping = {key.value: self.quick_value(value) for key, value in node.value}
            if len(mapping) != len(node.value):
                self._check_keys(node.value)
            return mapping
        return self.construct_object(node, deep=True)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        written = list(node.value)  # before `<<` is replaced by what it means, whose keys may be overridden
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            self._check_keys(written)
        return mapping

    def _check_keys(self, written: list[tuple[yaml.Node, yaml.Node]]) -> None:
        seen = set()
        for node, _ in written:
            if node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key `{key}` is there twice", node.start_mark
                )
            seen.add(key)


def _has_plain_keys(node: yaml.Node) -> bool:
    """Say whether a node is a mapping whose keys all are texts."""
    return type(node) is yaml.MappingNode and all(
        key.tag == _STR and type(key) is yaml.ScalarNode for key, _ in node.value
    )


def _construct_complex(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> complex:
    return complex(loader.construct_scalar(node))


def _construct_tuple(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:python/complex", _construct_complex)
_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _construct_tuple)


class _Dumper(_BaseDumper):
    """Write each value where it stands, never as an alias of another."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_complex(dumper: yaml.SafeDumper, value: complex) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:python/complex", str(value))


_Dumper.add_representer(complex, _represent_complex)


def load(text: str) -> dict[str, Any]:
    """Read a document that is one mapping with string keys.

    Raises:
        BentoMLException: it is not valid YAML, not such a mapping, names a Python type, repeats a key, is nested
            absurdly deep, or would grow beyond all measure by aliases.
    """
    try:
        if text.count("[") + text.count("{") > _MAX_DEPTH or _MAY_BE_DEEP.search(text):
            _check_depth(text)
        value = yaml.load(text, Loader=_Loader) if "*" in text else _quick(text)
    except (yaml.YAMLError, ValueError) as e:
        raise BentoMLException(f"not a readable YAML document: {_said(e)}") from e
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise BentoMLException("not a YAML document of the form `key: value`")
    if _ALIAS.search(text):
        _check_size(value)
    return value


def _quick(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else loader.quick_value(node)
    finally:
        loader.dispose()


def dump(value: object) -> str:
    """Write a value in block style, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def _said(error: Exception) -> str:
    """Return what PyYAML says on one line, with a place in the text instead of in "<unicode string>"."""
    lines = (line.strip().replace('in "<unicode string>", ', "") for line in str(error).splitlines())
    return ", ".join(filter(None, lines))


def _check_depth(text: str) -> None:
    """Refuse what would overflow the stack of libyaml's reader, which is recursive and ends the process then."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise BentoMLException(f"the YAML document is nested more than {_MAX_DEPTH} levels deep")


def _check_size(value: object) -> None:
    todo, seen = [value], 0
    while todo:
        item = todo.pop()
        seen += 1
        if seen > _MAX_NODES:
            raise BentoMLException(f"the YAML document grows beyond {_MAX_NODES} values by its aliases")
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list | tuple):
            todo.extend(item)
