"""Tags on the command line: one tag, or many targets of a deletion."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, Protocol

import typer

from ..exceptions import BentoMLException, CLIException
from ..store.aliases import Alias, parse_taglike
from ..tag import Tag

__all__ = [
    "ForceOption",
    "LabelOption",
    "NameOption",
    "TableOrJson",
    "TagStore",
    "delete_confirmed",
    "parse_alias",
    "parse_tag",
    "parse_wanted",
    "resolve_targets",
]

TableOrJson = Literal["table", "json"]

NameOption = Annotated[
    str | None, typer.Option("--name", metavar="PATTERN", help="Only names like this, such as `iris*`.")
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY[=VALUE]", help="Only those with this label; may be repeated."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Delete also what an alias names, and the alias.")]


class TagStore(Protocol):
    """What finding targets needs of a store."""

    def tags_of(self, tag: str | Tag | None) -> list[Tag]:
        """Return the tags that are meant: all with a name, or the one of a full tag or an alias."""
        ...


def parse_tag(text: str) -> str | Tag:
    """Read a tag or an alias (which stays text); one that breaks the grammar is a usage error."""
    try:
        return parse_taglike(text)
    except (ValueError, BentoMLException) as e:
        raise typer.BadParameter(str(e)) from e


def parse_alias(text: str) -> str:
    """Read an alias; one that breaks the grammar is a usage error."""
    try:
        return str(Alias.parse(text))
    except BentoMLException as e:
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


def _resolved(tags: Sequence[str | Tag], store: TagStore) -> Iterator[Tag]:
    for tag in tags:
        yield from store.tags_of(tag)


def parse_wanted(words: Sequence[str] | None, option: str) -> dict[str, str | None]:
    """Return what words like ``key=value`` or ``key`` ask for; a key alone asks for any value."""
    wanted: dict[str, str | None] = {}
    for word in words or ():
        key, equals, value = word.partition("=")
        if not key:
            raise typer.BadParameter(f"`{word}` is not of the form KEY or KEY=VALUE", param_hint=option)
        wanted[key] = value if equals else None
    return wanted
