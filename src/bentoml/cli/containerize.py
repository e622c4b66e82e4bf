"""`bentoml containerize`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from .. import container
from ..builder.image import ImageLayer, ImageResult
from ..exceptions import InvalidArgument
from ._output import size
from ._steps import is_quiet, step
from ._tags import parse_tag

__all__ = ["app"]

_DIGEST_END = re.compile(r"(?<=@sha256:[0-9a-f]{12})[0-9a-f]{52}")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def containerize(
    bento: Annotated[str, typer.Argument(metavar="BENTO:TAG", help="A bento's tag, or its name for the latest.")],
    image_tag: Annotated[
        list[str] | None,
        typer.Option(
            "-t", "--image-tag", "--docker-image-tag", metavar="NAME:TAG",
            help="The image's name; may be repeated. [the bento's tag]",
        ),
    ] = None,
    base_image: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Build upon this: a registry's image, docker://NAME, oci:FOLDER, debs:SUITE. [the bento's own]",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="type=TYPE,dest=PLACE",
            help="Where the image goes: type=oci (a folder), oci-archive, docker-archive (files), or docker. [docker]",
        ),
    ] = None,
    platform: Annotated[
        str | None, typer.Option(metavar="OS/ARCH", help="The machine it is for. [the one that the bento is locked for]")
    ] = None,
    backend: Annotated[
        str, typer.Option(envvar="BENTOML_CONTAINERIZE_BACKEND", help="The engine that gets the image: docker.")
    ] = "docker",
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is in the caches.")] = False,
    compress_models: Annotated[
        Literal["none", "gzip"], typer.Option(help="Compress the models too, which pays on a slow link alone.")
    ] = "none",
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the bento and its models again and compare them with what was stored.")
    ] = False,
) -> None:  # fmt: skip
    """Turn a bento into an OCI image, with or without a container engine."""
    tag = parse_tag(bento)
    try:
        result = container.build(
            tag,
            backend=backend,
            image_tag=image_tag,
            base_image=base_image,
            output=output,
            platform=platform,
            offline=offline,
            compress_models=compress_models,
            verify=verify,
            step=step,
        )
    except InvalidArgument as e:
        raise typer.BadParameter(str(e)) from e
    if not is_quiet():
        _print_layers(result)
    names = ",".join(result.names)
    if output is not None and output.endswith("dest=-"):  # stdout is the image
        return
    print(f'Successfully built Bento container for "{result.tag}" with tag(s) "{names}"')
    if output is None or output == "type=docker":
        gpus = "--gpus all " if result.uses_gpu else ""
        print("To run your newly built Bento container, run:")
        print(f"    docker run --rm {gpus}-p 3000:3000 {result.names[0]}")
    else:
        print(result.place)


def _print_layers(result: ImageResult) -> None:
    """Print a line for each layer, those of the base as one, and what was new to the place it went to."""
    base = [layer for layer in result.layers if layer.kind == "base"]
    rows = [_row(f"base {_DIGEST_END.sub('', result.base)}", base)]
    rows += [_row(layer.about, [layer]) for layer in result.layers if layer.kind != "base"]
    rows.append(_row("together", result.layers))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for what, bytes_, state in rows:
        print(f"{what:<{widths[0]}}  {bytes_:>{widths[1]}}  {state}".rstrip(), file=sys.stderr)


def _row(about: str, layers: Sequence[ImageLayer]) -> tuple[str, str, str]:
    total = sum(layer.size for layer in layers)
    new = sum(layer.size for layer in layers if layer.is_new)
    return about, size(total), "reused" if not new else "new" if new == total else f"{size(new)} new"
