"""`bentoml env`: what a bug report needs to say of this machine."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from typing import Annotated, Literal

import typer

from .. import __version__
from ..config import environment

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_VARIABLES = ("BENTOML_", "BENTO_CLOUD_", "CONDA_", "CUDA_", "UV_", "PIP_", "PROMETHEUS_")
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|OVERRIDES|AUTH|HEADERS")
_CREDENTIALS = re.compile(r"://[^/\s]*@")
_HIDDEN = "***"


@app.command()
def show_environment(
    output: Annotated[
        Literal["md", "bash"],
        typer.Option("-o", "--output", help="`md` for a bug report, `bash` as variables."),
    ] = "md",
) -> None:
    """Print what a bug report needs: variables, versions, packages. What may be a secret is left out."""
    variables, system, packages = _variables(environment()), _system(), _packages()
    print(_markdown(variables, system, packages) if output == "md" else _bash(variables, system, packages))


def _variables(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that change what we do, without what may be a secret."""
    return {
        name: _HIDDEN if _SECRET.search(name) else _CREDENTIALS.sub(f"://{_HIDDEN}@", value)
        for name, value in sorted(env.items())
        if name.startswith(_VARIABLES) and name.isidentifier()
    }


def _system() -> dict[str, str]:
    return {
        "bentoml": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "uid_gid": f"{os.getuid()}:{os.getgid()}",
    }


def _packages() -> list[str]:
    found = {f"{one.name}=={one.version}" for one in distributions() if one.metadata["Name"]}
    return sorted(found, key=str.lower)


def _markdown(variables: Mapping[str, str], system: Mapping[str, str], packages: Sequence[str]) -> str:
    return "\n".join(
        [
            "#### Environment variables\n",
            "```bash",
            *_assignments(variables),
            "```\n",
            "#### System information\n",
            *(f"`{name}`: {value}  " for name, value in system.items()),
            "\n<details><summary><code>pip_packages</code></summary>\n",
            "```",
            *packages,
            "```\n",
            "</details>",
        ]
    )


def _bash(variables: Mapping[str, str], system: Mapping[str, str], packages: Sequence[str]) -> str:
    listed = ["pip_packages=(", *(f"    {shlex.quote(package)}" for package in packages), ")"]
    return "\n".join([*_assignments(variables), *_assignments(system), *listed])


def _assignments(values: Mapping[str, str]) -> list[str]:
    return [f"{name}={shlex.quote(value)}" for name, value in values.items()]
