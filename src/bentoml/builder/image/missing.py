"""Libraries of the system that packages need, and that nobody brings: neither the base, nor a step upon the packages."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..oci.bases.rootfs import RootFS, read_rootfs
from ..oci.cache import Cache
from ..oci.model import Base, Layer
from ..oci.parts.libraries import Needs, missing

__all__ = ["tell_missing"]

logger = logging.getLogger(__name__)


def tell_missing(needs: Needs, rootfs: RootFS, base: Base, after: Sequence[Layer], cache: Cache) -> None:
    """Warn of libraries that packages need and neither a base (whose ``rootfs`` is known) nor the layers ``after`` have."""
    lacking = list(missing(needs, rootfs.libraries, base.name))
    if lacking and after:
        whole = read_rootfs(base._replace(layers=(*base.layers, *after)), cache)
        lacking = list(missing(needs, whole.libraries, base.name))
    for line in lacking:
        logger.warning(line)
