"""`bentoml build`."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..builder.api import build_project, split_target
from ..builder.bento import BuildOptions
from ..builder.packages.lock import LockMode
from ..config import Home, environment
from ..registry.push import THREADS
from ..sdk.configuration.argument_file import read_argument_file
from ._arguments import ArgFileOption, ArgOption, read_words
from ._steps import is_quiet, step
from .containerize import containerize as containerize_bento
from .remote import push_bento

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def build(
    build_ctx: Annotated[
        str, typer.Argument(help="The project's folder, or the service as `module:Class`.")
    ] = ".",
    bentofile: Annotated[
        Path | None,
        typer.Option("-f", "--bentofile", metavar="FILE", help="The build file, if not the project's own."),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="The bento's name, instead of the service's.")
    ] = "",
    version: Annotated[
        str, typer.Option(metavar="VERSION", help="The bento's version, instead of one made of its content.")
    ] = "",
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label; may be repeated.")
    ] = None,
    output: Annotated[
        Literal["default", "tag"], typer.Option("-o", "--output", help="`tag` prints nothing but the tag.")
    ] = "default",
    platform: Annotated[
        str,
        typer.Option(
            metavar="PLATFORM",
            help="The machine to lock packages for: linux/amd64, linux/arm64, aarch64-manylinux_2_36, ...",
        ),
    ] = "linux",
    arg: ArgOption = None,
    arg_file: ArgFileOption = None,
    update: Annotated[
        bool, typer.Option("--update", help="Lock anew instead of keeping bentofile.lock.")
    ] = False,
    locked: Annotated[bool, typer.Option("--locked", help="Fail if bentofile.lock would change.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Connect to nothing: use bentofile.lock, or say what it lacks.")
    ] = False,
    containerize: Annotated[
        bool, typer.Option("--containerize", help="Make its image, too, as `bentoml containerize` does.")
    ] = False,
    push: Annotated[
        bool, typer.Option("--push", help="Push it to the registry BENTOML_REGISTRY, as `bentoml push` does.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --push: take the tag away from something else.")
    ] = False,
    threads: Annotated[
        int, typer.Option(min=1, max=64, help="With --push: how many blobs travel at a time.")
    ] = THREADS,
) -> None:
    """Build a bento from a project: its source, models and locked requirements under one tag."""
    if containerize and push:
        raise typer.BadParameter("--containerize and --push exclude each other; give one of them")
    if update and offline:
        raise typer.BadParameter("--update asks the indexes and --offline forbids it; give one of them")
    if update and locked:
        raise typer.BadParameter("--update moves the lock and --locked forbids it; give one of them")
    mode: LockMode = "update" if update else "locked" if locked else "reuse"
    folder, service = split_target(build_ctx)
    bento = build_project(
        folder,
        bentofile,
        service=service,
        name=name,
        home=Home.from_environment(environment()),
        env=environment(),
        args={**(read_argument_file(arg_file) if arg_file else {}), **read_words(arg)},
        options=BuildOptions(
            version=version or None,
            labels=dict(_label(text) for text in label or ()),
            platform=platform,
            lock_mode=mode,
            offline=offline,
            step=step,
        ),
    )
    print(f"__tag__:{bento.tag}" if output == "tag" else f"Successfully built {bento}.", flush=True)
    with redirect_stdout(sys.stderr) if output == "tag" else nullcontext():
        if containerize:
            backend = environment().get("BENTOML_CONTAINERIZE_BACKEND") or "docker"
            containerize_bento(str(bento.tag), backend=backend, offline=offline)
        elif push:
            push_bento(str(bento.tag), force=force, threads=threads)
        elif output != "tag" and not is_quiet():
            print(f"Next: `bentoml serve {bento.tag}`, `bentoml containerize {bento.tag}`", file=sys.stderr)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"`{text}` is not of the form KEY=VALUE", param_hint="--label")
    return key, value
