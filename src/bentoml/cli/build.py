"""`bentoml build`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..builder.api import build_project, split_target
from ..builder.job import BuildOptions
from ..builder.packages.lock import LockMode
from ..builder.packages.lock_platform import LockPlatform
from ..config import Home, environment
from ..exceptions import InvalidArgument
from ..sdk.configuration.argument_file import read_argument_file
from ._arguments import ArgFileOption, ArgOption, read_words
from ._steps import is_quiet, step
from ._table import run_command

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_BuildCtx = Annotated[str, typer.Argument(help="The project's folder, or the service as `module:Class`.")]
_Bentofile = Annotated[
    Path | None,
    typer.Option("-f", "--bentofile", metavar="FILE", help="The build file, if not the project's own."),
]
_Name = Annotated[str, typer.Option(metavar="NAME", help="The bento's name, instead of the service's.")]
_Version = Annotated[
    str, typer.Option(metavar="VERSION", help="The bento's version, instead of one made of its content.")
]
_Labels = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label; may be repeated.")]
_Output = Annotated[
    Literal["default", "tag"], typer.Option("-o", "--output", help="`tag` prints nothing but the tag.")
]
_Platform = Annotated[
    str,
    typer.Option(
        metavar="PLATFORM",
        help="The machine to lock packages for: linux/amd64, linux/arm64, aarch64-manylinux_2_36, ...; several with commas.",
    ),
]
_Update = Annotated[bool, typer.Option("--update", help="Lock anew instead of keeping bentofile.lock.")]
_UpdateBase = Annotated[
    bool, typer.Option("--update-base", help="Take the base image as it is now, and lock its digest.")
]
_Locked = Annotated[bool, typer.Option("--locked", help="Fail if bentofile.lock would change.")]
_Offline = Annotated[
    bool, typer.Option("--offline", help="Connect to nothing: use bentofile.lock, or say what it lacks.")
]
_Containerize = Annotated[
    bool, typer.Option("--containerize", help="Make its image, too, as `bentoml containerize` does.")
]
_Push = Annotated[
    bool, typer.Option("--push", help="Push it to the registry BENTOML_REGISTRY, as `bentoml push` does.")
]
_Force = Annotated[bool, typer.Option("--force", help="With --push: take the tag away from something else.")]
_Threads = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="With --push: how many blobs travel at a time.", show_default=False),
]


@app.command()
def build(
    ctx: typer.Context,
    build_ctx: _BuildCtx = ".",
    bentofile: _Bentofile = None,
    name: _Name = "",
    version: _Version = "",
    label: _Labels = None,
    output: _Output = "default",
    platform: _Platform = "linux",
    arg: ArgOption = None,
    arg_file: ArgFileOption = None,
    update: _Update = False,
    update_base: _UpdateBase = False,
    locked: _Locked = False,
    offline: _Offline = False,
    containerize: _Containerize = False,
    push: _Push = False,
    force: _Force = False,
    threads: _Threads = None,
) -> None:
    """Build a bento from a project: its source, models and locked requirements under one tag."""
    if containerize and push:
        raise typer.BadParameter("--containerize and --push exclude each other; give one of them")
    options = BuildOptions(
        version=version or None,
        labels=dict(_label(text) for text in label or ()),
        platform=_platform(platform),
        lock_mode=_lock_mode(update, update_base, locked, offline),
        update_base=update_base,
        offline=offline,
        step=step,
    )
    args = {**(read_argument_file(arg_file) if arg_file else {}), **read_words(arg)}
    folder, service = split_target(build_ctx)
    env = environment()
    home = Home.from_environment(env)
    bento = build_project(
        folder, bentofile, home=home, env=env, service=service, name=name, args=args, options=options
    )
    tag = str(bento.tag)
    print(f"__tag__:{tag}" if output == "tag" else f"Successfully built {bento}.", flush=True)
    with redirect_stdout(sys.stderr) if output == "tag" else nullcontext():
        if containerize:
            run_command(ctx, "containerize", [tag, *_given("--offline", offline)])
        elif push:
            run_command(ctx, "push", [tag, *_given("--force", force), *_given("--threads", threads)])
        elif output != "tag" and not is_quiet():
            print(f"Next: `bentoml serve {tag}`, `bentoml containerize {tag}`", file=sys.stderr)


def _lock_mode(update: bool, update_base: bool, locked: bool, offline: bool) -> LockMode:
    moves = "--update" if update else "--update-base" if update_base else ""
    if moves and offline:
        whom = "indexes" if update else "registry"
        raise typer.BadParameter(f"{moves} asks the {whom} and --offline forbids it; give one of them")
    if moves and locked:
        raise typer.BadParameter(f"{moves} moves the lock and --locked forbids it; give one of them")
    return "update" if update else "locked" if locked else "reuse"


def _platform(text: str) -> str:
    try:
        LockPlatform.parse_all(text)
    except InvalidArgument as e:
        raise typer.BadParameter(str(e), param_hint="--platform") from e
    return text


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"`{text}` is not of the form KEY=VALUE", param_hint="--label")
    return key, value


def _given(option: str, value: bool | int | None) -> Sequence[str]:
    """Return an option as it is typed; nothing if it is not given."""
    return () if not value else (option,) if value is True else (option, str(value))
