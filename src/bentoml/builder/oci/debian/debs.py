"""A base image made here of Debian packages: Python of the suite, what it and most wheels need, and what scripts and people need in
a shell; nothing else.

The result follows from the exact list of packages: equal lists give equal layers on every machine.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ....exceptions import BentoMLException, InvalidArgument, NotFound
from ....store.archives.tar import Tar
from ....store.digest import Digest
from ..cache import Cache, kept_layer
from ..codec import gzip_codec
from ..model import Base, Layer, Platform
from .apt import ARCHITECTURES, Apt, Package, recalled
from .deb import Deb, read_deb
from .debroot import root_entries

__all__ = ["FOR_SCRIPTS_ONLY", "debs_digest", "open_debs", "unpacked"]

_PACKAGES = (
    "base-files",
    "base-passwd",
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "debianutils",
    "findutils",
    "grep",
    "libc-bin",
    "libgomp1",
    "libstdc++6",
    "netbase",
    "python3",
    "sed",
    "tzdata",
    "zlib1g",
)
FOR_SCRIPTS_ONLY = ("debconf", "debianutils", "dpkg", "libdebconfclient0", "mawk", "openssl")
_REFERENCE = re.compile(
    r"(([a-z]+)(?::([a-z0-9][a-z0-9.-]+(?:\+[a-z0-9][a-z0-9.-]+)*))?)(?:@(sha256:[0-9a-f]{64}))?\Z"
)
_RECIPE = 2  # to be raised when the same packages give other bytes than before
_FRESH_SECONDS = 24 * 3600.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def open_debs(
    reference: str,
    *,
    platform: Platform,
    cache: Cache,
    env: Mapping[str, str],
    offline: bool = False,
    etc: Path = Path("/etc/apt"),
) -> Base:
    """Return the base that ``SUITE[:PACKAGE+PACKAGE...][@DIGEST]`` means.

    The digest is that of the list of packages. With it, only that list will do. Without it the list is asked for at
    most once a day.

    Raises:
        InvalidArgument: the reference or a package name is wrong, or Debian has no such architecture.
        NotFound: the pinned list is not in the cache and no longer what the mirrors have.
        BentoMLException: apt is missing, or cannot reach its mirrors.
    """
    apt, wanted, pin = _apt(reference, platform, cache, env, etc)
    packages = _listed(apt, wanted, cache, offline=offline, pin=pin)
    name = reference.partition("@")[0]
    try:
        return _base(f"debs:{name}", apt, packages, platform, cache, offline=offline)
    except BentoMLException as e:
        if pin is None or offline:
            raise
        raise BentoMLException(f"{e}\n{_moved_on(apt.suite)}") from e


def debs_digest(
    reference: str,
    *,
    platform: Platform,
    cache: Cache,
    env: Mapping[str, str],
    offline: bool = False,
    anew: bool = False,
    etc: Path = Path("/etc/apt"),
) -> Digest:
    """Return the digest of the list of packages that ``SUITE[:PACKAGE+PACKAGE...]`` means now; none of them is fetched.

    ``anew`` asks the mirrors whatever they said today, and waits for them; else those that do not answer are not asked twice.

    Raises:
        as `open_debs` does.
    """
    apt, wanted, pin = _apt(reference, platform, cache, env, etc)
    return _digest(
        _listed(
            apt._replace(hasty=not anew),
            wanted,
            cache,
            offline=offline,
            pin=pin,
            most=0 if anew else _FRESH_SECONDS,
        )
    )


def _apt(
    reference: str, platform: Platform, cache: Cache, env: Mapping[str, str], etc: Path
) -> tuple[Apt, tuple[str, ...], Digest | None]:
    """Return whom to ask, for which packages, and the digest of the list that will do."""
    _, suite, more, pin = _parsed(reference)
    architecture = ARCHITECTURES.get(platform.architecture)
    if architecture is None or platform.os != "linux":
        raise InvalidArgument(f"there are no Debian packages for `{platform}`")
    wanted = (*_PACKAGES, *more)
    provided = tuple(package for package in FOR_SCRIPTS_ONLY if package not in wanted)
    folder = cache.folder("apt") / f"{suite}-{architecture}"
    return Apt(folder, suite, architecture, provided, env, etc), wanted, pin


def _parsed(reference: str) -> tuple[str, str, Sequence[str], Digest | None]:
    """Split ``SUITE[:PACKAGE+PACKAGE...][@DIGEST]`` into what stands before the digest, and its parts."""
    match = _REFERENCE.match(reference)
    if match is None:
        raise InvalidArgument(f"`debs:{reference}` is not a base; it looks like `debs:bookworm:libsndfile1`")
    name, suite, more, pin = match.groups()
    return name, suite, more.split("+") if more else [], Digest.parse(pin) if pin else None


def _listed(
    apt: Apt,
    wanted: Sequence[str],
    cache: Cache,
    *,
    offline: bool,
    pin: Digest | None,
    most: float = _FRESH_SECONDS,
) -> tuple[Package, ...]:
    """Return the list of packages: the pinned one, one of the cache that is not older than ``most``, or what the mirrors have now."""
    if pin is not None and (record := cache.recall(pin)) is not None:
        packages = recalled(record)
        if _digest(packages) == pin:  # not so if the same list made other bytes once
            return packages
    key = Digest.of_json({"debs": [apt.suite, apt.architecture, wanted]})
    record = cache.recall(key)
    if pin is None and record is not None and (offline or _age(record) < most):
        return recalled(record)
    if offline:
        raise _not_cached(apt)
    packages = apt.resolve(wanted)
    if pin not in (None, _digest(packages)):
        raise NotFound(
            f"the mirrors no longer have the packages of `debs:{apt.suite}@{pin}`; {_moved_on(apt.suite)}"
        )
    for place, more in ((key, {"at": time.time()}), (_digest(packages), {})):
        cache.remember(place, {"packages": [package.fields() for package in packages], **more})
    return packages


def _not_cached(apt: Apt) -> NotFound:
    return NotFound(f"the packages of `debs:{apt.suite}` are not in the cache; run once without `--offline`")


def _age(record: Mapping[str, object]) -> float:
    """Return the seconds since a list was made; one of the future is as old as can be."""
    age = time.time() - float(str(record["at"]))
    return age if age >= 0 else math.inf


def _digest(packages: Sequence[Package]) -> Digest:
    return Digest.of_json({"recipe": _RECIPE, "packages": [package.fields() for package in packages]})


def _moved_on(suite: str) -> str:
    return (
        f"where the mirrors have newer packages, `--base-image debs:{suite}` takes those of today, and "
        "`bentoml build --update-base` puts them into the bento"
    )


def _base(
    name: str, apt: Apt, packages: Sequence[Package], platform: Platform, cache: Cache, *, offline: bool
) -> Base:
    digest = _digest(packages)

    def make(scratch: Path) -> Tar:
        if offline:
            raise _not_cached(apt)
        return Tar.of(root_entries(unpacked(apt, packages, scratch)))

    about = f"{len(packages)} packages of {apt.suite}"
    layer = kept_layer(cache, {"debs": str(digest)}, make, gzip_codec(), "base", about)
    return Base(name, digest, _config(layer, packages, platform), (layer,), platform)


def unpacked(apt: Apt, packages: Sequence[Package], scratch: Path, *, keep: bool = False) -> list[Deb]:
    """Fetch exactly these packages and unpack them below ``scratch``; with ``keep`` their files stay in ``archives``."""
    debs = []
    for package, file in zip(packages, apt.download(packages, scratch / "archives"), strict=True):
        if Digest.of_file(file) != package.digest:
            raise BentoMLException(f"`{file}` is not the package `{package}`; remove it and try again")
        place = scratch / "unpacked" / package.name
        place.mkdir(parents=True)
        debs.append(read_deb(file, place))
        if not keep:
            file.unlink()
    return debs


def _config(layer: Layer, packages: Sequence[Package], platform: Platform) -> Mapping[str, object]:
    versions = {package.name: package.version for package in packages}
    python = versions["python3"].partition("-")[0].partition("+")[0]
    platform_fields = {"os": platform.os, "architecture": platform.architecture}
    return (
        platform_fields
        | ({"variant": platform.variant} if platform.variant else {})
        | {
            "config": {
                "Env": [f"PATH={_PATH}", "LANG=C.UTF-8", f"PYTHON_VERSION={python}"],
                "Cmd": ["python3"],
            },
            "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id)]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": layer.about}],
        }
    )
