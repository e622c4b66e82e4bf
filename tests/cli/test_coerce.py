"""What an option needs no validation library for, and what it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command

from bentoml.cli._coerce import spare_conversion


def converted(*arguments: str) -> Any:
    """Return what a function gets for ``--n`` and ``--free``, each an integer, the first from 0 to 65535."""
    app = typer.Typer(add_completion=False)
    got: list[Any] = []

    @app.command()
    def command(
        n: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
        free: Annotated[int, typer.Option()] = 1,
    ) -> None:
        got.append((n, free))

    made = get_command(app)
    for param in made.params:
        spare_conversion(param)
    made.main(args=[*arguments], standalone_mode=False)
    return got[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], (None, 1), id="defaults"),
        pytest.param(["--n", "0", "--free", "007"], (0, 7), id="digits"),
        pytest.param(["--n", "65535", "--free", "-3"], (65535, -3), id="a sign"),
        pytest.param(["--free", "1" + "0" * 30], (None, 10**30), id="many digits"),
    ],
)
def test_integers(arguments: list[str], expected: tuple[object, object]) -> None:
    assert converted(*arguments) == expected


def test_texts_that_are_repeated() -> None:
    app = typer.Typer(add_completion=False)
    got: list[Any] = []

    @app.command()
    def command(
        words: Annotated[list[str] | None, typer.Argument()] = None,
        label: Annotated[list[str] | None, typer.Option()] = None,
    ) -> None:
        got.append((words, label))

    made = get_command(app)
    for param in made.params:
        spare_conversion(param)
    for arguments in ([], ["x", "--label", "a=b", "y", "--label", "c"]):
        made.main(args=arguments, standalone_mode=False)
    assert got == [(None, None), (["x", "y"], ["a=b", "c"])]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-1", "not a whole number from 0 to 65535"),
        ("65536", "not a whole number from 0 to 65535"),
        ("x", "not a whole number"),
        ("1.5", "not a whole number"),
        ("", "not a whole number"),
        ("٣x", "not a whole number"),
        ("9" * 5000, "not a whole number"),
    ],
)
def test_what_is_no_such_number_is_refused_and_named(text: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"`{text[:40]}.*{said}"):
        converted("--n", text)


def test_a_number_without_bounds_names_none() -> None:
    with pytest.raises(typer.BadParameter, match=r"`x` is not a whole number$"):
        converted("--free", "x")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(
            ["serve", "no_such_module:Service", "--port", "3000", "--workers", "1"], id="a server with a port"
        ),
        pytest.param(["build", "no_such_module:Service", "--label", "a=b"], id="a build with a label"),
        pytest.param(["push", "iris"], id="a push with its default threads"),
    ],
)
def test_loads_no_validation_library(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from bentoml.cli.main import run\n"
        f"try: run({arguments!r})\n"
        "except SystemExit: pass\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={**os.environ, "BENTOML_HOME": str(tmp_path / "home")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split()[-1] == "False"
