"""Answers of several files: an object or a list that holds files, as the parts of a ``multipart/form-data`` body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .files import Sent

__all__ = ["ROOT", "AnswerPart", "FormAnswer", "answer_parts"]

ROOT = "root"  # the name of the parts of an answer that is no object


class AnswerPart(NamedTuple):
    """One part: a value as JSON, or a file."""

    name: str
    filename: str | None
    media_type: str
    content: bytes | Path

    @property
    def is_file(self) -> bool:
        """Whether it is a file rather than a value."""
        return self.filename is not None


class FormAnswer(NamedTuple):
    """A form to send."""

    parts: tuple[AnswerPart, ...]


def answer_parts(tree: Any, dumps: Callable[[Any], bytes]) -> Iterator[AnswerPart]:
    """Cut an answer into its parts: one for each field, repeated for the items of a list.

    A file deeper than that is a part named by its place, ``item.image`` or ``items.0.image``; ``item`` itself has null there.
    """
    fields = tree.items() if isinstance(tree, dict) else [(ROOT, tree)]
    for name, value in fields:
        items = value if isinstance(value, list | tuple | set | frozenset) else None
        if items and any(isinstance(item, Sent) for item in items):
            for item in items:
                yield from _field(str(name), item, dumps)
        else:
            yield from _field(str(name), value, dumps)


def _field(name: str, value: Any, dumps: Callable[[Any], bytes]) -> Iterator[AnswerPart]:
    if isinstance(value, Sent):
        yield _file(name, value)
        return
    files: list[AnswerPart] = []
    plain = _without_files(name, value, files)
    yield AnswerPart(name, None, "application/json", dumps(plain))
    yield from files


def _without_files(name: str, value: Any, files: list[AnswerPart]) -> Any:
    """Return a value with null for each file in it, which is added to ``files``."""
    if isinstance(value, Sent):
        files.append(_file(name, value))
        return None
    if isinstance(value, dict):
        return {key: _without_files(f"{name}.{key}", item, files) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_files(f"{name}.{index}", item, files) for index, item in enumerate(value)]
    return value


def _file(name: str, sent: Sent) -> AnswerPart:
    return AnswerPart(name, sent.filename or name, sent.media_type, sent.content)
