"""The digests of base images in bentofile.lock, so that an image stands on the same base wherever and whenever it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ...exceptions import BentoMLException
from ...store.digest import Digest
from ..oci.model import Platform
from .lock import Lock, LockMode, change_lock_file, read_lock_file

__all__ = ["FindDigest", "base_digests"]

FindDigest = Callable[[str, Platform], Digest | None]

_OWN_ON_EACH_PLATFORM = ("debs:", "docker://")
_FILES = ("oci:", "oci-archive:", "docker-archive:", "rootfs:")


def base_digests(
    reference: str, platforms: Sequence[Platform], lock: Path, find: FindDigest, mode: LockMode
) -> dict[Platform, Digest]:
    """Return the digest of a base for each platform: that of the lock, else the one that ``find`` finds, which is locked.

    A base whose digest cannot be found has none here, and so does one that names its own or is a file.

    Raises:
        BentoMLException: the lock cannot be read or written, or in mode ``locked`` would change; what ``find`` raises.
    """
    keys = {platform: key for platform in platforms if (key := _lock_key(reference, platform))}
    if not keys:
        return {}
    by_key = {key: platform for platform, key in keys.items()}
    found = _kept(tuple(by_key), lock, lambda key: find(reference, by_key[key]), mode)
    return {platform: found[key] for platform, key in keys.items() if key in found}


def _lock_key(reference: str, platform: Platform) -> str:
    """Return how a lock calls a base: a registry's image is one for all platforms; nothing for what has no pin."""
    if "@" in reference or reference.startswith(_FILES):
        return ""
    return f"{reference} {platform}" if reference.startswith(_OWN_ON_EACH_PLATFORM) else reference


def _kept(
    wanted: Sequence[str], file: Path, digest_of: Callable[[str], Digest | None], mode: LockMode
) -> dict[str, Digest]:
    """Return the digest of each base image: that of the lock file, else the one of now, which is kept there.

    ``wanted`` are the names of its entries, ``NAME`` or ``NAME PLATFORM``. One that ``digest_of`` does not find has none,
    here and in the file, which then has no other bases either. ``update`` asks anew and drops other bases; ``locked`` neither asks nor writes.

    Raises:
        BentoMLException: the file is not a lock, or in mode ``locked`` it has other bases than those.
    """
    lock = read_lock_file(file)
    known = lock.bases
    missing = [name for name in wanted if mode == "update" or name not in known]
    if mode == "locked":
        if known and missing:
            raise BentoMLException(
                f"`{file.name}` has no digest of base image `{missing[0]}`; run `bentoml build` without `--locked` and commit the file"
            )
        return {name: known[name] for name in wanted if name in known}
    found = {name: digest for name in missing if (digest := digest_of(name)) is not None}
    names = {name.partition(" ")[0] for name in wanted}
    drops = mode == "update" or (missing and not found)

    def changed(lock: Lock) -> Lock:
        kept = {n: d for n, d in lock.bases.items() if not drops or n.partition(" ")[0] in names}
        return lock._replace(bases={**kept, **found})

    if changed(lock) != lock:
        change_lock_file(file, changed)
    return {name: digest for name, digest in {**known, **found}.items() if name in wanted}
