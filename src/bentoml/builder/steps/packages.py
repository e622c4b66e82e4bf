"""The Python packages of an image: wheels are unpacked here, and what has none is built and installed by an engine, below them."""

from __future__ import annotations

from collections.abc import Mapping

from ...store.digest import Digest
from ..oci.cache import Cache
from ..oci.model import Base
from ..oci.parts.python import Installed, NoWheels, PythonRequest, python_layers

__all__ = ["packages_upon"]


def packages_upon(
    base: Base,
    request: PythonRequest,
    *,
    cache: Cache,
    env: Mapping[str, str],
    epoch: int,
    offline: bool = False,
    by_engine: bool = False,
) -> tuple[Base, Installed]:
    """Return the base and the packages upon it: what has to be built in the image lies in the base then.

    ``by_engine`` lets an engine install all of them; so does a request that is not locked where one has to be built.

    Raises:
        BentoMLException: a package cannot be had or built, or no engine answers where one has to.
    """
    place = Digest.of_json(
        {"without wheels": Digest.of_file(request.requirements).hex, "for": request.target.platform}
    )
    names = frozenset(map(str, _list((cache.recall(place) or {}).get("names"))))
    while True:
        below, rest = base, request
        if by_engine or names:
            from .compiled import with_compiled, with_unlocked

            if by_engine or not request.is_locked:
                return with_unlocked(base, request, cache=cache, env=env, offline=offline), Installed()
            below, rest = with_compiled(base, request, names, cache=cache, env=env, offline=offline)
        try:
            return below, python_layers(rest, cache, epoch=epoch, offline=offline)
        except NoWheels as e:
            if names >= set(e.names):
                raise
            names = names.union(e.names)
            cache.remember(place, {"names": sorted(names)})


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
