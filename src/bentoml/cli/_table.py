"""Tables of commands: each command's module is loaded only when that command runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ._coerce import spare_conversion
from ._names import name_as_usual
from ._short import short_errors

__all__ = ["CommandTable", "Entry", "options_of", "run_command"]

_HELP = {"help_option_names": ["-h", "--help"]}


class Entry(NamedTuple):
    """Say where a command is and what one line tells of it; ``group`` is the name that errors show.

    An entry with ``commands`` is a group of these, and has no module of its own.
    """

    module: str
    help: str
    attribute: str = "app"
    group: str = "bentoml-cli"
    hidden: bool = False
    commands: Mapping[str, Entry] = {}


class CommandTable(TyperGroup):
    """List every command without loading one; load a command's module when it is asked for."""

    def __init__(self, table: Mapping[str, Entry], **options: Any) -> None:
        super().__init__(rich_markup_mode=None, no_args_is_help=True, context_settings=_HELP, **options)
        self.table = table
        unloaded: Any = None
        self.commands.update(dict.fromkeys(table, unloaded))  # the names that typer suggests from

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)
        for param in params:
            spare_conversion(param)
        return params

    def make_context(self, *args: Any, **options: Any) -> Any:
        with short_errors():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        with short_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name, entry in self.table.items() if not entry.hidden]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = self.table.get(cmd_name)
        if entry is None:
            return None
        if entry.commands:
            return CommandTable(entry.commands, name=cmd_name, help=entry.help)
        command = get_command(getattr(import_module(f".{entry.module}", __package__), entry.attribute))
        command.name = cmd_name
        command.params.extend(options_of(_every_command))
        command.context_settings.update(_HELP)
        for param in command.get_params(ctx):
            spare_conversion(param)
            name_as_usual(param)
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(n, e.help) for n, e in self.table.items() if not e.hidden])


def run_command(ctx: typer.Context, name: str, arguments: Sequence[str]) -> None:
    """Run another command of the program within the one of ``ctx``, as if it were typed; its module is loaded now."""
    root: Any = ctx.find_root()
    command = root.command.get_command(root, name)
    with command.make_context(name, [*arguments], parent=root) as its_own:
        command.invoke(its_own)


def _set_verbose(value: bool) -> None:
    if value:
        logging.getLogger("bentoml").setLevel(logging.DEBUG)


def _set_quiet(value: bool) -> None:
    if value:
        logging.getLogger("bentoml").setLevel(logging.ERROR)


def _every_command(
    verbose: Annotated[
        bool, typer.Option("--verbose", "--debug", callback=_set_verbose, help="Say more about what happens.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", callback=_set_quiet, help="Say only what went wrong.")
    ] = False,
    do_not_track: Annotated[bool, typer.Option("--do-not-track", hidden=True)] = False,
    context: Annotated[str, typer.Option("--context", hidden=True)] = "",
) -> None:
    """Declare the options that every command takes; the last two are accepted as in BentoML 1.x and do nothing."""


def options_of(function: Callable[..., None]) -> list[Any]:
    """Return the options that a function declares as a command would."""
    app = typer.Typer(add_completion=False)
    app.command()(function)
    options = [p for p in get_command(app).params if p.name != "help"]
    for option in options:
        option.expose_value = False
    return options
