"""`bentoml completion`: what makes a shell complete commands, options, choices, tags and aliases."""

from __future__ import annotations

from typing import Annotated

import typer

from ._shells import Shell, read_commands, script

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def completion(
    context: typer.Context,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print a script that completes commands, options, choices and the tags of the store."""
    root = context.find_root()
    print(script(shell, list(read_commands(root, root.command))), end="")
