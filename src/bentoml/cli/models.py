"""`bentoml models`: list, get and delete models of the local store."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from .. import models
from ..store import current
from ..store.manifest import ModelInfo
from ..store.models import Model
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

_COLUMNS = {"tag": "Tag", "module": "Module", "size": "Size", "creation_time": "Creation Time"}


@list_app.command()
def list_models(
    name: Annotated[
        str | None, typer.Argument(help="Show only the models with this name.", show_default=False)
    ] = None,
    pattern: NameOption = None,
    label: LabelOption = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata", metavar="KEY[=VALUE]", help="Only those with this value; may be repeated."
        ),
    ] = None,
    output: Annotated[Format, typer.Option("-o", "--output", help="How to print them.")] = "table",
) -> None:
    """List models, newest first."""
    found = models.list(
        name and parse_tag(name),
        labels=parse_wanted(label, "--label"),
        metadata=parse_wanted(metadata, "--metadata"),
    )
    found = [model for model in found if fnmatchcase(model.tag.name, pattern or "*")]
    print_rows([_row(model) for model in found], _COLUMNS, output)


@get_app.command()
def get_model(
    tag: Annotated[str, typer.Argument(metavar="TAG", help="A tag, or a name for the latest.")],
    output: Annotated[ItemFormat, typer.Option("-o", "--output", help="What to print.")] = "yaml",
) -> None:
    """Show one model, or the path of its files."""
    model = models.get(parse_tag(tag))
    print_item(Path(model.path), ModelInfo.FILE, output)


@delete_app.command()
def delete_models(
    targets: Annotated[list[str], typer.Argument(help="Tags, or names for all their versions.")],
    yes: Annotated[bool, typer.Option("-y", "--yes", "--assume-yes", help="Do not ask.")] = False,
    force: ForceOption = False,
) -> None:
    """Delete models that no bento and no alias needs."""
    store = current.model_store()
    tags = resolve_targets(targets, store)
    for tag in tags:
        current.bento_store().check_unused(tag)
        if not force:
            store.check_unnamed(tag)
    delete_confirmed("model", tags, yes, lambda tag: models.delete(tag, force=force))


def _row(model: Model) -> dict[str, str]:
    return {
        "tag": str(model.tag),
        "module": model.info.module,
        "size": size(model.file_size),
        "creation_time": local_time(model.creation_time),
    }
