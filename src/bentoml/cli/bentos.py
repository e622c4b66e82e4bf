"""`bentoml list`, `get` and `delete`: the bentos of the local store."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from .. import bentos
from ..store import current
from ..store.bentos import Bento, BentoStore
from ..store.manifest import BentoInfo
from ._output import Format, ItemFormat, local_time, print_item, print_rows, size
from ._tags import (
    ForceOption,
    LabelOption,
    NameOption,
    delete_confirmed,
    parse_tag,
    parse_wanted,
    resolve_targets,
)

__all__ = ["delete_app", "get_app", "list_app"]

list_app = typer.Typer(rich_markup_mode=None, add_completion=False)
get_app = typer.Typer(rich_markup_mode=None, add_completion=False)
delete_app = typer.Typer(rich_markup_mode=None, add_completion=False)

_COLUMNS = {"tag": "Tag", "size": "Size", "model_size": "Model Size", "creation_time": "Creation Time"}


@list_app.command()
def list_bentos(
    name: Annotated[
        str | None,
        typer.Argument(metavar="BENTO_NAME", help="Show only the bentos with this name.", show_default=False),
    ] = None,
    pattern: NameOption = None,
    label: LabelOption = None,
    output: Annotated[Format, typer.Option("-o", "--output", help="How to print them.")] = "table",
) -> None:
    """List the bentos of the local store, newest first."""
    store = current.bento_store()
    found = store.list(name and parse_tag(name), labels=parse_wanted(label, "--label"))
    found = [bento for bento in found if fnmatchcase(bento.tag.name, pattern or "*")]
    print_rows([_row(bento, store) for bento in found], _COLUMNS, output)


@get_app.command()
def get_bento(
    tag: Annotated[str, typer.Argument(metavar="BENTO_TAG", help="A tag, or a name for the latest.")],
    output: Annotated[ItemFormat, typer.Option("-o", "--output", help="What to print.")] = "yaml",
) -> None:
    """Show one bento, or the path of its files."""
    bento = bentos.get(parse_tag(tag))
    print_item(Path(bento.path), BentoInfo.FILE, output)


@delete_app.command()
def delete_bentos(
    targets: Annotated[list[str], typer.Argument(help="Tags, or names for all their versions.")],
    yes: Annotated[bool, typer.Option("-y", "--yes", "--assume-yes", help="Do not ask.")] = False,
    force: ForceOption = False,
) -> None:
    """Delete bentos that no alias names from the local store."""
    store = current.bento_store()
    tags = resolve_targets(targets, store)
    for tag in tags:
        if not force:
            store.check_unnamed(tag)
    delete_confirmed("bento", tags, yes, lambda tag: bentos.delete(tag, force=force))


def _row(bento: Bento, store: BentoStore) -> dict[str, str]:
    return {
        "tag": str(bento.tag),
        "size": size(bento.file_size),
        "model_size": size(store.models_size(bento)),
        "creation_time": local_time(bento.creation_time),
    }
