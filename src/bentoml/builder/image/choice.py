"""Who makes an image: we do, without an engine, unless one is asked for, or nobody else can."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from ...exceptions import InvalidArgument
from ...nearest import nearest
from ...store.manifest import BentoInfo
from ..engines.options import Option
from .plan import needs_dockerfile

__all__ = ["check_features", "is_for_engine"]

logger = logging.getLogger(__name__)

_FEATURES = (
    "all", "aws", "grpc", "grpc-channelz", "grpc-reflection", "io", "io-file", "io-image", "io-json", "io-pandas",
    "monitor-otlp", "tracing", "tracing-jaeger", "tracing-otlp", "tracing-zipkin", "triton",
)  # fmt: skip
_IN_BUILD_FILE = {
    "--base-image": "docker.base_image", "base_image": "docker.base_image",
    "--compile": "docker.compile", "--no-compile": "docker.compile", "bytecode": "docker.compile",
}  # fmt: skip


def is_for_engine(
    info: BentoInfo,
    backend: str,
    options: Mapping[str, Option],
    ours: Mapping[str, object],
    *,
    env: Mapping[str, str],
    is_for_a_place: bool,
) -> bool:
    """Say whether an engine builds the bento's Dockerfile: it was asked to, or nobody else can and Docker is there to do so.

    ``ours`` are the arguments that mean something to images made without an engine alone, by the names that the user knows;
    ``is_for_a_place`` says that the image goes where only we put it.

    Raises:
        InvalidArgument: an engine is asked for together with one of ours.
    """
    said = [f"`{name}`" for name, value in ours.items() if value]
    if backend == "docker" and not options:
        return not said and not is_for_a_place and bool(needs_dockerfile(info)) and _has_docker(env)
    if said:
        raise InvalidArgument(
            f"{', '.join(said)}: that is for images that are made without an engine, but backend `{backend}` builds the "
            f"bento's Dockerfile here; {_instead(ours)}take no other backend and no options of a build command"
        )
    return True


def _instead(ours: Mapping[str, object]) -> str:
    """Say which keys of a build file mean the same, to the Dockerfile as well."""
    keys = [f"`{_IN_BUILD_FILE[name]}`" for name, value in ours.items() if value and name in _IN_BUILD_FILE]
    return f"say it by {' and '.join(keys)} in the build file and build the bento again, or " if keys else ""


def _has_docker(env: Mapping[str, str]) -> bool:
    from ..engines.known import get_engine, is_healthy

    return is_healthy(get_engine("docker"), env)


def check_features(features: Sequence[str]) -> None:
    """Say that features are packages, which the bento has locked; refuse those that nobody knows."""
    for feature in features:
        if feature not in _FEATURES:
            hint = f"; did you mean `{near}`?" if (near := nearest(feature, _FEATURES)) else ""
            raise InvalidArgument(f"feature `{feature}` is not known{hint}")
    if features:
        logger.warning(
            "features change nothing, as the packages of a bento are locked: list `bentoml[%s]` under `python.packages` "
            "and build the bento again",
            ",".join(features),
        )
