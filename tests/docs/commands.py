"""The real command table, for what the documentation says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from bentoml.cli._table import CommandTable
from bentoml.cli.main import COMMANDS

__all__ = ["all_commands", "options_of"]

_root = CommandTable(COMMANDS, name="bentoml")


def all_commands() -> dict[str, Any]:
    """Return each command by its words: `models list`."""
    return dict(_leaves(_root, ()))


def _leaves(table: CommandTable, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    context: Any = typer.Context(table)
    for name in table.table:
        command = table.get_command(context, name)
        if isinstance(command, CommandTable):
            yield from _leaves(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def options_of(words: Sequence[str]) -> set[str]:
    """Return the options of the command that an argument list names, `-h` and `--help` included."""
    known = all_commands()
    command = known.get(" ".join(words[:2])) or known.get(words[0] if words else "")
    if command is None:
        assert not words or words[0] in {"models", "-v", "--version", "-h", "--help"}, (
            f"no command `{words[0]}`"
        )
        return {"-v", "--version", "-h", "--help"}
    return {"-h", "--help", *(o for p in command.params for o in (*p.opts, *p.secondary_opts) if o[0] == "-")}
