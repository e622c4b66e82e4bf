"""Images of bentos, as `bentoml.container`: build one, ask whether an engine answers, get the Dockerfile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal

from .builder.image import ImageResult, containerize
from .builder.oci.bases.engine import connected
from .config import Home, environment
from .exceptions import BentoMLException, InvalidArgument
from .store.bentos import BentoStore
from .tag import Tag

__all__ = ["ImageResult", "build", "get_containerfile", "health"]


def build(
    bento_tag: str | Tag,
    backend: str = "docker",
    image_tag: str | Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    *,
    base_image: str | None = None,
    output: str | None = None,
    platform: str | None = None,
    offline: bool = False,
    compress_models: Literal["none", "gzip"] = "none",
    verify: bool = False,
    step: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> ImageResult:
    """Make the image of a bento and put it into the engine, or where ``output`` says; see `containerize`.

    Raises:
        NotFound: there is no such bento, or one of its models is missing.
        BentoMLException: the image cannot be made, or not be put there.
    """
    _check_backend(backend)
    if features:
        raise InvalidArgument(
            f"features {', '.join(f'`{feature}`' for feature in features)}: list what the service needs under "
            "`python.packages`, as in `bentoml[io-image]`, and build the bento again"
        )
    home = Home.from_environment(environment())
    return containerize(
        BentoStore(home).get(bento_tag),
        home=home,
        env=environment(),
        base=base_image,
        names=[image_tag] if isinstance(image_tag, str) else image_tag or (),
        output=output,
        platform=platform,
        offline=offline,
        compress_models=compress_models,
        verify=verify,
        step=step,
    )


def health(backend: str = "docker") -> bool:
    """Say whether the engine of a backend answers."""
    _check_backend(backend)
    try:
        with connected(environment()) as client:
            return bool(client.ping())
    except BentoMLException:
        return False


def get_containerfile(bento_tag: str | Tag, output_path: str | Path | None = None) -> str:
    """Return the Dockerfile of a bento, for those who build with an engine; write it to ``output_path`` if given."""
    bento = BentoStore(Home.from_environment(environment())).get(bento_tag)
    text = Path(bento.path_of("env/docker/Dockerfile")).read_text(encoding="utf-8")
    if output_path is not None:
        Path(output_path).write_text(text, encoding="utf-8")
    return text


def _check_backend(backend: str) -> None:
    if backend != "docker":
        raise InvalidArgument(
            f"backend `{backend}` is not supported; the image can go into Docker, or with "
            "`--output type=oci-archive,dest=FILE` into a file that every engine loads"
        )
