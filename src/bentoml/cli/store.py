"""`bentoml verify`, `gc`, `du` and `alias`, and the same for models: care for the local store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..exceptions import NotFound
from ..store import current
from ..store.base import ItemStore
from ..store.damage import Damage, Reading
from ..store.garbage import Piece, collect, find_garbage
from ..store.usage import Room, Usage, measure
from ._output import local_time, print_json, print_table, size
from ._steps import step, talk
from ._tags import TableOrJson, parse_alias, parse_tag

__all__ = ["alias_app", "du_app", "gc_app", "models_alias_app", "models_verify_app", "verify_app"]

verify_app = typer.Typer(rich_markup_mode=None, add_completion=False)
gc_app = typer.Typer(rich_markup_mode=None, add_completion=False)
du_app = typer.Typer(rich_markup_mode=None, add_completion=False)
alias_app = typer.Typer(rich_markup_mode=None, add_completion=False)
models_verify_app = typer.Typer(rich_markup_mode=None, add_completion=False)
models_alias_app = typer.Typer(rich_markup_mode=None, add_completion=False)

Store = ItemStore[Any]

_TagsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="TAG", help="Tags, or names for all their versions.", show_default=False),
]
_OutputOption = Annotated[TableOrJson, typer.Option("-o", "--output", help="How to print it.")]


# Verifying.


@verify_app.command()
def verify_all(tags: _TagsArgument = None, output: _OutputOption = "table") -> None:
    """Read all files of bentos and their models, or of all that is in the store, and name each that is damaged."""
    bentos, models = current.bento_store(), current.model_store()
    with step("Reading the store"), Reading() as reading:
        if not tags:
            found = [*bentos.verify(reading=reading), *models.verify(reading=reading)]
        else:
            found = [
                damage for tag in tags for damage in _verify_either(parse_tag(tag), bentos, models, reading)
            ]
    _print_damage(found, reading, output)


@models_verify_app.command()
def verify_models(tags: _TagsArgument = None, output: _OutputOption = "table") -> None:
    """Read all files of models, or of all models, and name each that is damaged."""
    models = current.model_store()
    with step("Reading the models"), Reading() as reading:
        found = [
            damage
            for tag in (map(parse_tag, tags) if tags else [None])
            for damage in models.verify(tag, reading)
        ]
    _print_damage(found, reading, output)


def _verify_either(tag: Any, bentos: Store, models: Store, reading: Reading) -> list[Damage]:
    """Verify what a tag means: bentos and the models that these need, or models."""
    try:
        meant = bentos.tags_of(tag)
    except NotFound as error:
        try:
            return models.verify(tag, reading)
        except NotFound:
            raise error from None
    found = []
    for bento in meant:
        damages = bentos.verify(bento, reading)
        needed = [] if damages else {ref.tag for ref in bentos.read(bento).all_models}
        found += damages
        for model in needed:
            try:
                found += models.verify(model, reading)
            except NotFound as error:
                talk(f"bento `{bento}` needs it: {error}")
    return found


def _print_damage(found: list[Damage], reading: Reading, output: TableOrJson) -> None:
    found = list(dict.fromkeys(found))
    if output == "json":
        print_json([{"kind": d.kind, "tag": str(d.tag), "path": d.path, "damage": d.what} for d in found])
    else:
        for damage in found:
            print(damage)
    items = len({(damage.kind, damage.tag) for damage in found})
    said = f"{len(found)} damaged in {items} items" if found else "nothing is damaged"
    talk(f"{size(reading.size)} read, {said}")
    if found:
        raise typer.Exit(1)


# Collecting.


@gc_app.command()
def collect_garbage(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing, only say what would be.")
    ] = False,
    unused_models: Annotated[
        bool, typer.Option("--unused-models", help="Also remove models that no bento and no alias needs.")
    ] = False,
    caches: Annotated[
        bool, typer.Option("--caches", help="Also remove the caches, which are made again when needed.")
    ] = False,
    output: _OutputOption = "table",
) -> None:
    """Remove what nobody needs from the store: what killed processes left, and bytes that no item has."""
    collecting = find_garbage if dry_run else collect
    with step("Looking for what nobody needs"):
        found = collecting(
            current.home(),
            temporary=Path(tempfile.gettempdir()),
            unused_models=unused_models,
            caches=caches,
        )
    if output == "json":
        print_json([{"kind": piece.kind, "name": piece.name, "size": piece.size} for piece in found])
        return
    if found:
        print_table(["Kind", "Name", "Size"], [[p.kind, p.name, size(p.size)] for p in found])
    freed = "would be freed" if dry_run else "freed"
    print(f"{size(sum(piece.size for piece in found))} {freed}.")


# Measuring.


@du_app.command()
def disk_usage(output: _OutputOption = "table") -> None:
    """Show how much room names, items and caches take."""
    usage = measure(current.home())
    garbage = find_garbage(current.home(), temporary=Path(tempfile.gettempdir()))
    if output == "json":
        print_json(_usage_data(usage, garbage))
        return
    rows = [
        [kind, str(room.tag), size(room.size), size(room.own)]
        for kind, names in (("model", usage.models), ("bento", usage.bentos))
        for room in _names_and_items(names)
    ]
    print_table(["Kind", "Tag", "Size", "Own"], rows)
    print()
    caches = {f"cache/{name}": count for name, count in usage.caches.items()}
    totals = {"items": usage.items, "shared": usage.shared, "blobs": usage.blobs, **caches, **usage.others}
    totals["garbage"] = sum(piece.size for piece in garbage)
    print_table(["Together", "Size"], [[name, size(count)] for name, count in totals.items()])


def _names_and_items(names: Mapping[Room, tuple[Room, ...]]) -> Iterable[Room]:
    """Return the items, before those of a name with several versions what they take together."""
    for name, items in names.items():
        if len(items) > 1:
            yield name
        yield from items


def _usage_data(usage: Usage, garbage: list[Piece]) -> dict[str, Any]:
    return {
        "models": _names_data(usage.models),
        "bentos": _names_data(usage.bentos),
        "items": usage.items,
        "shared": usage.shared,
        "blobs": usage.blobs,
        "caches": usage.caches,
        **usage.others,
        "garbage": sum(piece.size for piece in garbage),
    }


def _names_data(names: Mapping[Room, tuple[Room, ...]]) -> list[dict[str, Any]]:
    return [
        {
            "name": str(name.tag),
            "size": name.size,
            "own": name.own,
            "items": [{"tag": str(item.tag), "size": item.size, "own": item.own} for item in items],
        }
        for name, items in names.items()
    ]


# Naming.

_AliasArgument = Annotated[
    str | None,
    typer.Argument(metavar="NAME@ALIAS", help="An alias, such as `iris@prod`.", show_default=False),
]
_TargetArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TAG", help="What it names from now on: a tag, or another alias.", show_default=False
    ),
]
_DeleteOption = Annotated[bool, typer.Option("--delete", help="Remove the alias; what it names stays.")]
_LogOption = Annotated[bool, typer.Option("--log", help="Show what it named before, the oldest first.")]


@alias_app.command()
def alias_bento(
    alias: _AliasArgument = None,
    tag: _TargetArgument = None,
    delete: _DeleteOption = False,
    log: _LogOption = False,
    output: _OutputOption = "table",
) -> None:
    """Let an alias name a version of a bento; without TAG say which, without anything list all."""
    _alias(current.bento_store(), alias, tag, delete=delete, log=log, output=output)


@models_alias_app.command()
def alias_model(
    alias: _AliasArgument = None,
    tag: _TargetArgument = None,
    delete: _DeleteOption = False,
    log: _LogOption = False,
    output: _OutputOption = "table",
) -> None:
    """Let an alias name a version of a model; without TAG say which, without anything list all."""
    _alias(current.model_store(), alias, tag, delete=delete, log=log, output=output)


def _alias(
    store: Store, alias: str | None, tag: str | None, *, delete: bool, log: bool, output: TableOrJson
) -> None:
    if sum((tag is not None, delete, log)) > 1:
        raise typer.BadParameter("TAG, --delete and --log exclude one another")
    if alias is None:
        if delete or log:
            raise typer.BadParameter("name the alias, as in `iris@prod`")
        rows = [[str(one), str(named)] for one, named in store.aliases().items()]
        _print_rows(["alias", "tag"], rows, output)
        return
    text = parse_alias(alias)
    if log:
        moves = store.alias_log(text)
        rows = [[local_time(m.time), m.before or "-", m.after or "-"] for m in moves]
        _print_rows(["time", "before", "after"], rows, output)
    elif delete:
        print(f"{text} deleted; it named {store.delete_alias(text) or 'nothing'}.")
    elif tag is None:
        print(store.alias(text))
    else:
        now, before = store.set_alias(text, parse_tag(tag))
        print(f"{text} names {now}{'' if before in (None, now) else f', before {before}'}.")


def _print_rows(headings: list[str], rows: list[list[str]], output: TableOrJson) -> None:
    if output == "json":
        print_json([dict(zip(headings, row, strict=True)) for row in rows])
    else:
        print_table([heading.capitalize() for heading in headings], rows)
