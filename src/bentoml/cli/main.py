"""The command table: each command's module is loaded only when that command runs."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from .. import __version__
from ..exceptions import BentoMLException, StateException
from ._coerce import spare_conversion
from ._names import name_as_usual

__all__ = ["COMMANDS", "run"]


@dataclass(frozen=True)
class Entry:
    """Say where a command is and what one line tells of it; ``group`` is the name that errors show."""

    module: str
    help: str
    attribute: str = "app"
    group: str = "bentoml-cli"
    hidden: bool = False


COMMANDS: dict[str, Entry] = {
    "build": Entry("build", "Build a bento from a project."),
    "containerize": Entry(
        "containerize", "Turn a bento into an OCI image, with or without a container engine."
    ),
    "delete": Entry("bentos", "Delete bentos from the local store.", "delete_app", "bentos"),
    "get": Entry("bentos", "Show one bento of the local store.", "get_app", "bentos"),
    "list": Entry("bentos", "List the bentos of the local store.", "list_app", "bentos"),
    "models": Entry("models", "Work with the models of the local store.", group="models"),
    "serve": Entry("serve", "Serve a bento, a project or a service.", group="serve"),
    "serve-http": Entry("serve", "The same as serve.", group="serve", hidden=True),
}


class CommandTable(TyperGroup):
    """List every command without loading one; load a command's module when it is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        unloaded: Any = None
        self.commands.update(dict.fromkeys(COMMANDS, unloaded))  # the names that typer suggests from

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)
        for param in params:
            spare_conversion(param)
        return params

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name, entry in COMMANDS.items() if not entry.hidden]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        app = getattr(import_module(f".{entry.module}", __package__), entry.attribute)
        command = get_command(app)
        command.name = cmd_name
        for leaf in [command, *getattr(command, "commands", {}).values()]:
            leaf.params.extend(_common_options())
            leaf.context_settings.setdefault("help_option_names", ["-h", "--help"])
            for param in leaf.get_params(ctx):
                spare_conversion(param)
                name_as_usual(param)
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(n, e.help) for n, e in COMMANDS.items() if not e.hidden])


def _set_verbose(value: bool) -> None:
    if value:
        logging.getLogger("bentoml").setLevel(logging.DEBUG)


def _set_quiet(value: bool) -> None:
    if value:
        logging.getLogger("bentoml").setLevel(logging.ERROR)


def _print_version(value: bool) -> None:
    if value:
        print(f"bentoml, version {__version__}")
        raise typer.Exit


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


def _common_options() -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(_every_command)
    options = [p for p in get_command(app).params if p.name != "help"]
    for option in options:
        option.expose_value = False
    return options


def _root() -> Any:
    app = typer.Typer(
        cls=CommandTable,
        name="bentoml",
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def bentoml(
        version: Annotated[
            bool,
            typer.Option("-v", "--version", callback=_print_version, is_eager=True, help="Show the version."),
        ] = False,
    ) -> None:
        """Package models as versioned bentos, serve them, and turn them into OCI images."""

    return get_command(app)


def run(argv: list[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 could not be done, 2 wrong usage, 130 interrupted."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("bentoml").setLevel(logging.INFO)
    args = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # rather than stop at a letter that the locale lacks
    try:
        try:
            _root().main(args=args, prog_name="bentoml")
        finally:
            if sys.stdout:
                sys.stdout.flush()  # here, where what goes wrong can still be told
    except (BentoMLException, StateException) as e:
        _fail(f"{_failed(args)}{e}")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        _drop_output()
        sys.exit(1)
    except OSError as e:  # the disk is full, a file cannot be read: not a mistake in this program
        _drop_output()
        logging.getLogger("bentoml").debug("", exc_info=e)
        place = f"`{e.filename}`: " if e.filename else ""
        _fail(f"{_failed(args)}{place}{e.strerror or e}")


def _fail(message: str) -> NoReturn:
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(1)


def _drop_output() -> None:
    """Forget what could not be written to stdout, so that it is not tried once more at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(args: list[str]) -> str:
    """Return ``[group] `command` failed: `` for the command that these arguments named."""
    words = [a for a in args if not a.startswith("-")]
    entry = COMMANDS.get(words[0]) if words else None
    if entry is None:
        return ""
    name = words[1] if entry.group == "models" and len(words) > 1 else words[0]
    return f"[{entry.group}] `{name}` failed: "
