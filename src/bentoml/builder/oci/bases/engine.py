"""Images of the local container engine as bases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....exceptions import NotFound
from ....registry.documents import parsed_document
from ....store.digest import Digest
from ...daemon.address import address_of
from ...daemon.api import EngineApi, reached
from ..archive import open_docker_archive
from ..cache import Cache, recalled_layer
from ..codec import gzip_codec
from ..model import Base, Platform
from .resolve import check_platform, diff_ids_of

__all__ = ["engine_digest", "open_engine_image"]


def engine_digest(name: str, *, env: Mapping[str, str], offline: bool = False) -> Digest:
    """Return the id that the engine has for an image.

    Raises:
        NotFound: the engine has no such image; offline: it is not on this machine.
        BentoMLException: the engine cannot be reached.
    """
    _check_near(name, env, offline)
    with reached(env) as engine:
        return Digest.parse(str(_found(engine, name, name)["Id"]))


def open_engine_image(
    name: str, *, platform: Platform, cache: Cache, env: Mapping[str, str], offline: bool = False
) -> Base:
    """Return an image that the engine has, ``NAME`` or ``NAME@ID``; it is exported once, and then known by its id.

    Raises:
        NotFound: the engine has no such image, or one for another platform; offline: it is not on this machine.
        BentoMLException: the engine cannot be reached.
    """
    plain, _, pin = name.partition("@")
    source = f"docker://{plain}"
    if pin and (base := _recalled(cache, _key(pin), source, platform)) is not None:
        return base
    _check_near(name, env, offline)
    with reached(env) as engine:
        found = str(_found(engine, pin or plain, name)["Id"])
        key = _key(found)
        if (base := _recalled(cache, key, source, platform)) is not None:
            return base
        with cache.scratch() as scratch:
            file = scratch / "image.tar"
            with file.open("wb") as target:
                target.writelines(engine.saved(found))
            base, config = open_docker_archive(file, None, name=source, platform=platform, cache=cache)
    cache.remember(key, {"config": config.decode()})
    return base


def _key(image_id: str) -> Digest:
    return Digest.of_json({"engine-image": image_id})


def _check_near(name: str, env: Mapping[str, str], offline: bool) -> None:
    """Refuse to dial an engine on another machine when we are offline."""
    address = address_of(env)
    if offline and address.socket is None:
        raise NotFound(
            f"`docker://{name}` is in the engine at `{address.host}`, which `--offline` does not dial; run without it"
        )


def _found(engine: EngineApi, asked: str, name: str) -> Mapping[str, Any]:
    if found := engine.image(asked):
        return found
    text = f"the engine has no image `{name}`; `docker images` shows what it has"
    if "@" in name:
        text += f", and `--base-image docker://{name.partition('@')[0]}` takes what has that name now"
    raise NotFound(text)


def _recalled(cache: Cache, key: Digest, name: str, platform: Platform) -> Base | None:
    record = cache.recall(key)
    if record is None:
        return None
    config = parsed_document(str(record["config"]).encode(), name)
    check_platform(config, name, platform)
    layers = []
    for diff_id in diff_ids_of(config, name):
        layer = recalled_layer(cache, {"diff_id": str(diff_id)}, gzip_codec(), "base")
        if layer is None:
            return None
        layers.append(layer)
    return Base(name, None, config, tuple(layers), platform)
