"""The flags of BentoML's `containerize` that an engine understands when it builds a Dockerfile, and what happens to them where none does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ._table import options_of

__all__ = ["EngineFlagsCommand", "given_flags", "note_of"]

_KEY = "bentoml.engine-flags"

_NOT_RUN = (
    "is for an engine that builds the Dockerfile, as with `--backend buildx`; this image is made without one"
)
_CACHE = "changes nothing: layers follow from their content alone, and are remembered under BENTOML_HOME"
_NOTES = {
    "cache_from": _CACHE,
    "cache_to": _CACHE,
    "no_cache": _CACHE,
    "no_cache_filter": _CACHE,
    "attest": "changes nothing: an image that is pushed has its SBOM beside it; see `--sbom`",
    "provenance": "changes nothing: the same bento always gives the same image, and an SBOM goes with it; see `--sbom`",
    "progress": "changes nothing: what takes long is told on stderr, and nothing with `--quiet`",
    "pull": "changes nothing: the base is the one that the bento is pinned to, or what its registry has now",
    "secret": f"{_NOT_RUN}, and secrets of the build are those of `envs` with `stage: build`",
}


class EngineFlagsCommand(TyperCommand):
    """A command that takes these flags, too; help does not list them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params.extend(options_of(_engine_flags))


def given_flags(context: typer.Context) -> Mapping[str, bool | tuple[str, ...]]:
    """Return the flags that were given, as options of an engine: ``no_cache=True``, ``build_arg=("A=b",)``."""
    found: Mapping[str, bool | tuple[str, ...]] = context.meta.get(_KEY, {})
    return found


def note_of(name: str) -> str:
    """Say in one line what a flag does where no engine builds."""
    return f"`--{name.replace('_', '-')}` {_NOTES.get(name, _NOT_RUN)}"


def _keep(context: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    if value:
        context.meta.setdefault(_KEY, {})[param.name] = value if value is True else tuple(value)
    return value


_Many = Annotated[list[str] | None, typer.Option(metavar="VALUE", hidden=True, callback=_keep)]


def _engine_flags(
    add_host: _Many = None,
    allow: _Many = None,
    attest: _Many = None,
    build_arg: _Many = None,
    build_context: _Many = None,
    builder: _Many = None,
    cache_from: _Many = None,
    cache_to: _Many = None,
    cgroup_parent: _Many = None,
    network: _Many = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", hidden=True, callback=_keep)] = False,
    no_cache_filter: _Many = None,
    progress: _Many = None,
    provenance: _Many = None,
    pull: Annotated[bool, typer.Option("--pull", hidden=True, callback=_keep)] = False,
    secret: _Many = None,
    shm_size: _Many = None,
    ssh: _Many = None,
    target: _Many = None,
    ulimit: _Many = None,
) -> None:
    """Declare the flags."""
