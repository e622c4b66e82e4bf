"""`bentoml push` and `pull`, and those of `bentoml models`: items to and from OCI registries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..exceptions import InvalidArgument
from ..registry import remote
from ..registry.artifact import ItemKind
from ..registry.push import THREADS
from ._output import size
from ._progress import progress
from ._steps import is_quiet
from ._tags import parse_tag

__all__ = ["pull_app", "pull_models_app", "push_app", "push_models_app"]

push_app = typer.Typer(rich_markup_mode=None, add_completion=False)
push_models_app = typer.Typer(rich_markup_mode=None, add_completion=False)
pull_app = typer.Typer(rich_markup_mode=None, add_completion=False)
pull_models_app = typer.Typer(rich_markup_mode=None, add_completion=False)

_Pushed = Annotated[str, typer.Argument(metavar="TAG", help="A tag, or a name for the latest.")]
_Repository = Annotated[
    str | None,
    typer.Argument(
        metavar="HOST/REPOSITORY[:TAG]", help="Where it goes. [REGISTRY/NAME:VERSION]", show_default=False
    ),
]
_Pulled = Annotated[
    str, typer.Argument(metavar="HOST/REPOSITORY:TAG|TAG", help="Where it is; a tag alone needs a registry.")
]
_Registry = Annotated[
    str | None,
    typer.Option(
        "--registry", metavar="HOST[/PATH]", help="The registry that is home to all items. [BENTOML_REGISTRY]"
    ),
]
_Threads = Annotated[
    int, typer.Option("-t", "--threads", min=1, max=64, help="How many blobs travel at a time.")
]
_Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag", metavar="NAME", help="Another tag to mean it there, such as latest; may be repeated."
    ),
]
_ForcePush = Annotated[
    bool,
    typer.Option("-f", "--force", help="Take the tag away from something else; send the manifest again."),
]
_ForcePull = Annotated[
    bool, typer.Option("-f", "--force", help="Replace what the store has under the tag with other content.")
]
_Trust = Annotated[bool, typer.Option("--trust", help="Let pickled content of what comes be loaded.")]


@push_app.command()
def push_bento(
    tag: _Pushed,
    repository: _Repository = None,
    registry: _Registry = None,
    tags: _Tags = None,
    force: _ForcePush = False,
    threads: _Threads = THREADS,
) -> None:
    """Push a bento and its models to an OCI registry, which is sent only what it lacks."""
    _push("bento", tag, repository, registry, tags, force, threads)


@push_models_app.command()
def push_model(
    tag: _Pushed,
    repository: _Repository = None,
    registry: _Registry = None,
    tags: _Tags = None,
    force: _ForcePush = False,
    threads: _Threads = THREADS,
) -> None:
    """Push a model to an OCI registry, which is sent only what it lacks."""
    _push("model", tag, repository, registry, tags, force, threads)


@pull_app.command()
def pull_bento(
    tag: _Pulled,
    registry: _Registry = None,
    with_models: Annotated[
        bool,
        typer.Option("--with-models/--without-models", help="Whether the models that it needs come, too."),
    ] = True,
    force: _ForcePull = False,
    trust: _Trust = False,
    threads: _Threads = THREADS,
) -> None:
    """Pull a bento and its models from an OCI registry into the local store."""
    _pull("bento", tag, registry, with_models, force, trust, threads)


@pull_models_app.command()
def pull_model(
    tag: Annotated[
        str | None,
        typer.Argument(
            metavar="HOST/REPOSITORY:TAG|TAG",
            help="Where it is; a tag alone needs a registry.",
            show_default=False,
        ),
    ] = None,
    bentofile: Annotated[
        Path | None,
        typer.Option(
            "-F",
            "--bentofile",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Pull the models of a build file.",
        ),
    ] = None,
    registry: _Registry = None,
    force: _ForcePull = False,
    trust: _Trust = False,
    threads: _Threads = THREADS,
) -> None:
    """Pull a model, or those of a build file, from an OCI registry into the local store."""
    if (tag is None) == (bentofile is None):
        raise typer.BadParameter("name a model, or give `--bentofile`", param_hint="TAG")
    for each in [tag] if bentofile is None else _models_in(bentofile):
        _pull("model", str(each), registry, True, force, trust, threads)


def _models_in(bentofile: Path) -> list[str]:
    from ..builder.build_file.config import load_config

    return [spec.tag for spec in load_config(bentofile.parent, bentofile).models]


def _push(
    kind: ItemKind,
    tag: str,
    repository: str | None,
    registry: str | None,
    tags: list[str] | None,
    force: bool,
    threads: int,
) -> None:
    try:
        with progress(f"pushing {tag}") as shown:
            pushed = remote.push_item(
                kind, parse_tag(tag), repository=repository, registry=registry, tags=tags or (), force=force,
                threads=threads, told=shown.add, expected=shown.expect,
            )  # fmt: skip
    except InvalidArgument as e:
        raise typer.BadParameter(str(e)) from e
    _say(
        f"{pushed.sent_blobs} blobs, {size(pushed.sent_bytes)} sent"
        if pushed.sent_blobs
        else "nothing to send"
    )
    print(f"{pushed.item} pushed to {pushed}.")


def _pull(
    kind: ItemKind,
    tag: str,
    registry: str | None,
    with_models: bool,
    force: bool,
    trust: bool,
    threads: int,
) -> None:
    try:
        with progress(f"pulling {tag}") as shown:
            pulled = remote.pull_item(
                kind, tag, registry=registry, with_models=with_models, force=force, trust=trust, threads=threads,
                told=shown.add, expected=shown.expect,
            )  # fmt: skip
    except InvalidArgument as e:
        raise typer.BadParameter(str(e)) from e
    for each in pulled.received:
        if each.untrusted:
            _say(
                f"{each.item.tag} holds pickled content, which can run any code when it is loaded; if you trust where it "
                f"came from, run `bentoml models trust {each.item.tag}`"
            )
        if each.item != pulled.item:
            print(f"{each.item} pulled.")
    _say(f"{size(pulled.fetched_bytes)} fetched" if pulled.is_new else "it was there")
    print(f"{pulled.item} pulled.")


def _say(words: str) -> None:
    if not is_quiet():
        print(words, file=sys.stderr)
