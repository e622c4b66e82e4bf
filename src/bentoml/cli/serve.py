"""``bentoml serve``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from ..config import environment
from ..runtime.process.cpus import cpu_count
from ..runtime.process.logging import configure
from ..runtime.process.plan import Options
from ..runtime.process.supervisor import serve as run_server
from ._arguments import ArgFileOption, ArgOption, read_words

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def serve(
    bento: Annotated[
        str,
        typer.Argument(
            help="A project's folder, `module:Service`, or a bento's tag or folder.",
            metavar="BENTO",
            show_default=True,
        ),
    ] = ".",
    port: Annotated[
        int | None,
        typer.Option(
            "-p", "--port", min=0, max=65535, envvar="BENTOML_PORT", help="0 takes a free port. [3000]"
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", envvar="BENTOML_HOST", help="Where to listen. [127.0.0.1]")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Number of processes. [the service's configuration]"),
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start again when a source file changes.")] = False,
    development: Annotated[
        bool, typer.Option("--development", help="Log more; dependencies run in the same process.")
    ] = False,
    working_dir: Annotated[
        str | None, typer.Option("--working-dir", help="The folder to import the service from.")
    ] = None,
    arg: ArgOption = None,
    arg_file: ArgFileOption = None,
    env: Annotated[str | None, typer.Option("--env", hidden=True)] = None,
    api_workers: Annotated[int | None, typer.Option(min=1, envvar="BENTOML_API_WORKERS", hidden=True)] = None,
    timeout: Annotated[float | None, typer.Option(envvar="BENTOML_TIMEOUT", min=0.001, hidden=True)] = None,
    backlog: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,
    timeout_keep_alive: Annotated[int | None, typer.Option(min=0, hidden=True)] = None,
    timeout_graceful_shutdown: Annotated[int | None, typer.Option(min=0, hidden=True)] = None,
    ssl_certfile: Annotated[str | None, typer.Option(hidden=True)] = None,
    ssl_keyfile: Annotated[str | None, typer.Option(hidden=True)] = None,
    ssl_keyfile_password: Annotated[str | None, typer.Option(hidden=True)] = None,
    ssl_version: Annotated[int | None, typer.Option(hidden=True)] = None,
    ssl_cert_reqs: Annotated[int | None, typer.Option(hidden=True)] = None,
    ssl_ca_certs: Annotated[str | None, typer.Option(hidden=True)] = None,
    ssl_ciphers: Annotated[str | None, typer.Option(hidden=True)] = None,
    production: Annotated[bool, typer.Option("--production", hidden=True)] = False,
) -> None:
    """Serve a bento, a project or a service over HTTP until CTRL+C."""
    if env is not None:
        raise typer.BadParameter(
            "the server makes no environment; run `bentoml serve` in the one that has the service's packages",
            param_hint="--env",
        )
    level = logging.DEBUG if development else logging.getLogger("bentoml").level
    configure("cli", level)
    options = Options(
        target=bento,
        working_dir=working_dir,
        host=host,
        port=port,
        workers=workers or api_workers,
        reload=reload,
        development=development,
        args=read_words(arg),
        arg_file=None if arg_file is None else str(arg_file.absolute()),
        timeout=timeout,
        backlog=backlog,
        timeout_keep_alive=timeout_keep_alive,
        timeout_graceful_shutdown=timeout_graceful_shutdown,
        ssl={
            "certfile": _absolute(ssl_certfile),
            "keyfile": _absolute(ssl_keyfile),
            "keyfile_password": ssl_keyfile_password,
            "version": ssl_version,
            "cert_reqs": ssl_cert_reqs,
            "ca_certs": _absolute(ssl_ca_certs),
            "ciphers": ssl_ciphers,
        },
    )
    raise typer.Exit(run_server(options, env=environment(), cpus=cpu_count()))


def _absolute(path: str | None) -> str | None:
    """Return a path that means the same to the workers, which run in the service's folder."""
    return None if path is None else str(Path(path).absolute())
