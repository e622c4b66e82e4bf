"""Tags on the command line: one tag, or many targets of a deletion."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import typer

from ..exceptions import BentoMLException, CLIException
from ..tag import Tag

__all__ = ["TagStore", "delete_confirmed", "parse_tag", "resolve_targets"]


class TagStore(Protocol):
    """What finding targets needs of a store."""

    def tags(self, name: str | None = None) -> list[Tag]:
        """Return the tags with a name."""
        ...

    def resolve(self, tag: str | Tag) -> Tag:
        """Return the full tag that a tag means."""
        ...


def parse_tag(text: str) -> Tag:
    """Read a tag; one that breaks the grammar is a usage error."""
    try:
        return Tag.from_str(text)
    except (ValueError, BentoMLException) as e:
        raise typer.BadParameter(str(e)) from e


def resolve_targets(targets: Sequence[str], store: TagStore) -> list[Tag]:
    """Return the tags that targets mean, each once: a name means all its versions; commas separate like spaces.

    Raises:
        NotFound: a target means nothing; nothing has been done by then.
    """
    return list(dict.fromkeys(_resolved([parse_tag(part) for part in _parts(targets)], store)))


def delete_confirmed(kind: str, tags: Sequence[Tag], yes: bool, delete: Callable[[Tag], object]) -> None:
    """Delete each tag after asking, unless ``yes``; say what was deleted."""
    for tag in tags:
        if yes or _agreed(f"delete {kind} {tag}?"):
            print(f"{delete(tag)} deleted.", flush=True)


def _agreed(question: str) -> bool:
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline() if sys.stdin else ""
    if not answer:
        print(file=sys.stderr)
        raise CLIException("nobody answered; give --yes to delete without being asked")
    return answer.strip().lower() in ("y", "yes")


def _parts(targets: Sequence[str]) -> list[str]:
    parts = [part.strip() for target in targets for part in target.replace(",", " ").split()]
    if not parts:
        raise typer.BadParameter("name at least one target")
    return parts


def _resolved(tags: Sequence[Tag], store: TagStore) -> Iterator[Tag]:
    for tag in tags:
        if tag.version is None:
            yield from store.tags(tag.name)
        else:
            yield store.resolve(tag)
