"""The real command table, for what the documentation says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from bentoml.cli.main import COMMANDS, CommandTable

__all__ = ["all_commands", "options_of"]

_table = CommandTable(name="bentoml")
_context: Any = typer.Context(_table)


def all_commands() -> dict[str, Any]:
    """Return each command by its words: `models list`."""
    found: dict[str, Any] = {}
    for name in COMMANDS:
        command = _table.get_command(_context, name)
        inner = getattr(command, "commands", None)
        found |= {f"{name} {sub}": leaf for sub, leaf in inner.items()} if inner else {name: command}
    return found


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
