"""The options ``--arg`` and ``--arg-file``: values for the code of a service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ArgFileOption", "ArgOption", "read_words"]

ArgOption = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="KEY=VALUE", help="A value for `bentoml.use_arguments`; may be repeated."),
]
ArgFileOption = Annotated[
    Path | None,
    typer.Option(
        "--arg-file", metavar="FILE", exists=True, dir_okay=False, help="A YAML file with such values."
    ),
]


def read_words(words: Sequence[str] | None) -> dict[str, str]:
    """Return the values of words like ``name=value``: always texts, the last of a name counts."""
    values: dict[str, str] = {}
    for word in words or ():
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"`{word}` is not of the form KEY=VALUE", param_hint="--arg")
        values[key] = value
    return values
