"""The options of `bentoml containerize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..builder.oci.codec import Compression

Bento = Annotated[str, typer.Argument(metavar="BENTO:TAG", help="A bento's tag, or its name for the latest.")]
ImageTag = Annotated[
    list[str] | None,
    typer.Option(
        "-t",
        "--image-tag",
        "--docker-image-tag",
        metavar="NAME:TAG",
        help="The image's name; may be repeated. [the bento's tag]",
    ),
]
BaseImage = Annotated[
    str | None,
    typer.Option(
        metavar="REF",
        help="Build upon this: a registry's image, docker://NAME, oci:FOLDER, rootfs:FOLDER, debs:SUITE. [the bento's own]",
    ),
]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--output",
        metavar="type=TYPE,dest=PLACE|json",
        help="Where the image goes: type=oci (a folder), oci-archive, docker-archive (files), registry, or docker; "
        "json prints the result for programs. [type=docker]",
    ),
]
Push = Annotated[
    bool,
    typer.Option(
        "--push", help="Push it to the registries that its names say; the same as -o type=registry."
    ),
]
Load = Annotated[
    bool,
    typer.Option(
        "--load", help="Load it into the local engine, which is the default; the same as -o type=docker."
    ),
]
Platform = Annotated[
    str | None,
    typer.Option(
        metavar="OS/ARCH[,...]", help="The machines it is for. [the first one that the bento is locked for]"
    ),
]
Label = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label of the image; may be repeated.")
]
Sbom = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|true|false",
        help="Write its SBOM (SPDX) to a file, too; whether it goes beside the image. [true for a registry]",
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        envvar="BENTOML_CONTAINERIZE_BACKEND",
        help="docker, or who builds the bento's Dockerfile instead: buildx, podman, buildah, nerdctl, buildctl.",
    ),
]
Opt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=VALUE]",
        help="An option of the backend's build command; it builds the Dockerfile then.",
    ),
]
EnableFeatures = Annotated[list[str] | None, typer.Option(metavar="NAME[,...]", hidden=True)]
RunAsRoot = Annotated[bool, typer.Option("--run-as-root", help="Run the backend by sudo.")]
Offline = Annotated[bool, typer.Option("--offline", help="Use only what is in the caches.")]
CompressModels = Annotated[
    Compression,
    typer.Option(
        help="Compress the models too, which pays on a slow link alone; zstd for a registry or a layout."
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify", help="Read the bento and its models again and compare them with what was stored."
    ),
]
Bytecode = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile",
        help="Have bytecode in the image, so that a container starts sooner. [what the bento says, else no]",
        show_default=False,
    ),
]
Iidfile = Annotated[
    Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write the image's id to a file.")
]
MetadataFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", dir_okay=False, help="Write names, id and digest to a JSON file, as BuildKit does."
    ),
]
