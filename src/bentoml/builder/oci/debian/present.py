"""Which Debian packages a base holds, for whoever lists them; read from its layers, once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ....store.digest import Digest
from ..cache import Cache
from ..model import Base
from .base_files import BaseFiles, read_base_files

__all__ = ["PresentPackage", "present_packages"]

_FORMAT = 1  # to be raised when what is read from the layers changes


@dataclass(frozen=True, slots=True)
class PresentPackage:
    """A package that is installed; ``distribution`` is that of the base, such as ``debian``."""

    name: str
    version: str
    architecture: str
    distribution: str


def present_packages(base: Base, cache: Cache) -> tuple[PresentPackage, ...]:
    """Return the packages of a base by name; none where it is not one of Debian's kind.

    Raises:
        BentoMLException: a layer is damaged or cannot be fetched.
    """
    layers = [str(layer.descriptor.digest) for layer in base.layers]
    key = Digest.of_json({"present": _FORMAT, "layers": layers})
    known = (cache.recall(key) or {}).get("packages")
    if isinstance(known, list):
        return tuple(PresentPackage(*map(str, row)) for row in known)
    with cache.scratch() as scratch:
        found = tuple(
            sorted(_found(read_base_files(base.layers, scratch)), key=lambda p: (p.name, p.architecture))
        )
    rows = [[p.name, p.version, p.architecture, p.distribution] for p in found]
    cache.remember(key, {"packages": rows})
    return found


def _found(files: BaseFiles) -> Iterator[PresentPackage]:
    distribution = files.distribution()
    for stanza in re.split(r"\n{2,}", files.installed()):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): *(.*?)\s*$", stanza, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed") and "Package" in fields:
            yield PresentPackage(
                fields["Package"], fields.get("Version", ""), fields.get("Architecture", ""), distribution
            )
