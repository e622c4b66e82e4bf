"""What has to be true before an engine is asked: a platform and names that can be, a bento as it was stored, secrets with values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...config import Home
from ...exceptions import BentoMLException, InvalidArgument
from ...registry.reference import Reference
from ...store.bentos import Bento
from ...store.manifest import BentoInfo
from ...store.models import Model, ModelStore
from ..image.plan import locked_platforms
from ..oci.model import Platform
from .options import Option, each

__all__ = ["DOCKERFILE", "checked_machine", "checked_models", "checked_names", "checked_secrets", "listed"]

DOCKERFILE = "env/docker/Dockerfile"


def checked_machine(info: BentoInfo, platform: str | None, option: Option) -> str | None:
    """Return the platform to build for, by default the first that the bento is locked for; none for one of another program.

    Raises:
        InvalidArgument: it is no platform, or they are several.
        BentoMLException: the bento does not hold the packages for it.
    """
    wanted = [text for given in (platform, option) for text in each("platform", given) if text]
    if len(wanted) > 1 or any("," in text for text in wanted):
        raise InvalidArgument(
            f"an engine builds the image of one platform at a time, not of `{','.join(wanted)}`; leave the backend away to "
            "make one image for several"
        )
    if "platform" not in info.image:
        return wanted[0] if wanted else None
    locked = locked_platforms(info)
    if not wanted:
        return locked[0]
    try:
        parsed = Platform.parse(wanted[0])
    except ValueError as e:
        raise InvalidArgument(str(e)) from e
    if f"{parsed.os}/{parsed.architecture}" not in locked:
        raise BentoMLException(
            f"the packages of bento `{info.tag}` are locked for {listed(locked)}, not for `{parsed}`; "
            f"build it with `bentoml build --platform {parsed}`"
        )
    return wanted[0]


def checked_names(info: BentoInfo, names: Sequence[str]) -> tuple[str, ...]:
    names = tuple(names) or (str(info.tag),)
    for name in names:
        if Reference.parse(name).digest or "://" in name:
            raise InvalidArgument(f"`{name}` is no name for an image; give it a tag, as in `iris:1`")
    return names


def checked_models(bento: Bento, home: Home, *, thoroughly: bool) -> list[Model]:
    """Return the models that the bento needs, if all of it may be loaded and is what was stored."""
    models = ModelStore(home).needed_by(bento.info)
    for model in models:
        model.check_trusted()  # in the image, nothing tells any more where it came from
        model.check(thoroughly=thoroughly, modes=True)  # which the engine copies with the files
    bento.check(thoroughly=thoroughly, modes=True)
    if not Path(bento.path_of(DOCKERFILE)).is_file():
        raise BentoMLException(
            f"bento `{bento.tag}` holds no `{DOCKERFILE}`; build it again with `bentoml build`"
        )
    return models


def checked_secrets(info: BentoInfo, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that only the build sees, with their values.

    Raises:
        BentoMLException: one has none.
    """
    given = {str(v["name"]): str(v.get("value") or "") for v in info.envs if v.get("stage") == "build"}
    found = {name: env.get(name) or value for name, value in given.items()}
    if missing := [name for name, value in found.items() if not value]:
        raise BentoMLException(
            f"bento `{info.tag}` needs {listed(missing)} while its image is built; set the environment where you build it"
        )
    return found


def listed(names: Sequence[str] | Mapping[str, str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
