"""`bentoml init` and `schema`: what helps before there is a bento."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..builder.json_schema import bentofile_schema, pyproject_schema
from ..builder.scaffold import TEMPLATES, default_name, scaffold
from ..exceptions import InvalidArgument
from ._output import print_json
from ._steps import talk

__all__ = ["init_app", "schema_app"]

init_app = typer.Typer(rich_markup_mode=None, add_completion=False)
schema_app = typer.Typer(rich_markup_mode=None, add_completion=False)

Template = Literal["plain", "sklearn", "stream"]


@init_app.command()
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where; it is made if it is not there.")
    ] = Path(),
    template: Annotated[
        Template,
        typer.Option(
            "-t", "--template", help=" ".join(f"{name}: {about}" for name, about in TEMPLATES.items())
        ),
    ] = "plain",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The bento's name, instead of the folder's.")
    ] = "",
) -> None:
    """Start a project that builds and serves at once; nothing is ever overwritten."""
    try:
        written = scaffold(folder, template, name or default_name(folder))
    except InvalidArgument as e:
        raise typer.BadParameter(str(e), param_hint="--name") from e
    for path in written:
        print(path)
    enter = "" if folder.resolve() == Path.cwd() else f"`cd {folder}`, "
    train = "`python train.py`, " if template == "sklearn" else ""
    talk(f"Next: {enter}{train}`bentoml serve`, `bentoml build`")


@schema_app.command()
def schema(
    pyproject: Annotated[
        bool, typer.Option("--pyproject", help="That of pyproject.toml, with [tool.bentoml.build].")
    ] = False,
) -> None:
    """Print the JSON Schema of bentofile.yaml, by which editors complete and check it."""
    print_json(pyproject_schema() if pyproject else bentofile_schema())
