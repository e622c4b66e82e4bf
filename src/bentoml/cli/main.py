"""All commands, and what the program does around each: its output, its errors, its exit codes."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from .. import __version__
from ..exceptions import BentoMLException, StateException
from ..paths import name_problem
from ._short import shortened
from ._table import CommandTable, Entry, options_of

__all__ = ["COMMANDS", "root_table", "run"]

_ABOUT = "Package models as versioned bentos, serve them, and turn them into OCI images."

MODELS: dict[str, Entry] = {
    "alias": Entry("store", "Let an alias name a version of a model; list the aliases.", "models_alias_app"),
    "delete": Entry("models", "Delete models that no bento needs.", "delete_app"),
    "export": Entry("archives", "Write a model to one file.", "export_models_app"),
    "get": Entry("models", "Show one model, or the path of its files.", "get_app"),
    "import": Entry("archives", "Take in a model.", "import_models_app"),
    "list": Entry("models", "List models, newest first.", "list_app"),
    "pull": Entry("remote", "Pull a model from an OCI registry.", "pull_models_app"),
    "push": Entry("remote", "Push a model to an OCI registry.", "push_models_app"),
    "trust": Entry("archives", "Let the pickled content of a model be loaded.", "trust_app"),
    "verify": Entry("store", "Read models and name each damaged file.", "models_verify_app"),
}
COMMANDS: dict[str, Entry] = {
    "alias": Entry(
        "store", "Let an alias name a version of a bento; list the aliases.", "alias_app", "bentos"
    ),
    "build": Entry("build", "Build a bento from a project."),
    "check": Entry("start", "Say what is wrong with a project, and what to do about it.", "check_app"),
    "completion": Entry("completion", "Print a script that completes commands and tags in a shell."),
    "containerize": Entry(
        "containerize", "Turn a bento into an OCI image, with or without a container engine."
    ),
    "delete": Entry("bentos", "Delete bentos from the local store.", "delete_app", "bentos"),
    "du": Entry("store", "Show how much room names, items and caches take.", "du_app"),
    "env": Entry("env", "Print what a bug report needs: variables, versions, packages."),
    "gc": Entry("store", "Remove what nobody needs from the store.", "gc_app"),
    "export": Entry("archives", "Write a bento and its models to one file.", "export_app", "bentos"),
    "get": Entry("bentos", "Show one bento of the local store.", "get_app", "bentos"),
    "import": Entry("archives", "Take in a bento and its models.", "import_app", "bentos"),
    "init": Entry("start", "Start a project that builds and serves at once.", "init_app"),
    "list": Entry("bentos", "List the bentos of the local store.", "list_app", "bentos"),
    "models": Entry("", "Work with the models of the local store.", group="models", commands=MODELS),
    "pull": Entry("remote", "Pull a bento and its models from an OCI registry.", "pull_app", "bentos"),
    "push": Entry("remote", "Push a bento and its models to an OCI registry.", "push_app", "bentos"),
    "schema": Entry("start", "Print the JSON Schema of bentofile.yaml, for editors.", "schema_app"),
    "serve": Entry("serve", "Serve a bento, a project or a service.", group="serve"),
    "serve-http": Entry("serve", "The same as serve.", group="serve", hidden=True),
    "verify": Entry("store", "Read bentos and models, and name each damaged file.", "verify_app"),
}


def _print_version(value: bool) -> None:
    if value:
        print(f"bentoml, version {__version__}")
        raise typer.Exit


def _on_its_own(
    version: Annotated[
        bool,
        typer.Option("-v", "--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Declare the options of `bentoml` without a command."""


def root_table() -> CommandTable:
    """Return the program: every command, and what it does without one."""
    return CommandTable(COMMANDS, name="bentoml", help=_ABOUT, params=options_of(_on_its_own))


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
            root_table().main(args=args, prog_name="bentoml")
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
    except UnicodeEncodeError as e:
        if sys.getfilesystemencoding() == "utf-8":
            raise
        _fail(f"{_failed(args)}{e.object!r} {name_problem()}")
    except OSError as e:  # the disk is full, a file cannot be read: not a mistake in this program
        _drop_output()
        logging.getLogger("bentoml").debug("", exc_info=e)
        place = f"`{e.filename}`: " if e.filename else ""
        _fail(f"{_failed(args)}{place}{e.strerror or e}")


def _fail(message: str) -> NoReturn:
    print(f"Error: {shortened(message)}", file=sys.stderr)
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
    name = words[1] if entry.commands and len(words) > 1 else words[0]
    return f"[{entry.group}] `{name}` failed: "
