"""`bentoml init`, `check` and `schema`: what helps before there is a bento."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..builder.build_file.json_schema import bentofile_schema, pyproject_schema
from ..builder.check import Checked, check_project
from ..builder.scaffold import TEMPLATES, default_name, scaffold
from ..config import Home, environment
from ..exceptions import InvalidArgument
from ._output import print_json, size
from ._steps import step, talk
from ._tags import TableOrJson

__all__ = ["check_app", "init_app", "schema_app"]

check_app = typer.Typer(rich_markup_mode=None, add_completion=False)
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
    enter = "" if folder.resolve() == Path.cwd() else f"`cd {shlex.quote(str(folder))}`, "
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


_MARKS = {"error": "error  ", "warning": "warning", "note": "note   "}


@check_app.command()
def check(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="The project's folder.")
    ] = Path(),
    bentofile: Annotated[
        Path | None,
        typer.Option("-f", "--bentofile", metavar="FILE", help="The build file, if not the project's own."),
    ] = None,
    output: Annotated[TableOrJson, typer.Option("-o", "--output", help="How to print it.")] = "table",
) -> None:
    """Say what is wrong with a project, and what to do about it."""
    env = environment()
    with step("Looking at the project"):
        checked = check_project(folder, bentofile, home=Home.from_environment(env), env=env)
    if output == "json":
        print_json(_as_data(checked))
    else:
        _print_findings(checked)
    errors = sum(finding.level == "error" for finding in checked.findings)
    warnings = sum(finding.level == "warning" for finding in checked.findings)
    talk(f"{_count(errors, 'error')}, {_count(warnings, 'warning')}")
    if errors:
        raise typer.Exit(1)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _print_findings(checked: Checked) -> None:
    for finding in checked.findings:
        lines = [*finding.message.splitlines(), *([f"fix: {finding.fix}"] if finding.fix else [])]
        print(f"{_MARKS[finding.level]}  {finding.about}: {lines[0]}")
        for line in lines[1:]:
            print(f"         {line}")
    if checked.files:
        print(
            f"The bento would hold {_count(len(checked.files), 'file')}, {size(checked.size)}; the largest:"
        )
    for file in checked.largest:
        print(f"{size(file.size):>12}  {file.path}")


def _as_data(checked: Checked) -> dict[str, Any]:
    return {
        "findings": [asdict(finding) for finding in checked.findings],
        "files": len(checked.files),
        "size": checked.size,
        "largest": [{"path": file.path, "size": file.size} for file in checked.largest],
    }
