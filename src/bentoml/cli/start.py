"""`bentoml schema`: what helps before there is a bento."""

from __future__ import annotations

from typing import Annotated

import typer

from ..builder.json_schema import bentofile_schema, pyproject_schema
from ._output import print_json

__all__ = ["schema_app"]

schema_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@schema_app.command()
def schema(
    pyproject: Annotated[
        bool, typer.Option("--pyproject", help="That of pyproject.toml, with [tool.bentoml.build].")
    ] = False,
) -> None:
    """Print the JSON Schema of bentofile.yaml, by which editors complete and check it."""
    print_json(pyproject_schema() if pyproject else bentofile_schema())
