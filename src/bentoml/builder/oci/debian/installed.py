"""Packages of the system on a base that has others: a layer made of Debian packages, or what the base's own tool makes.

Nothing is run where no package has a script that would be missed: those are unpacked here. Otherwise an engine installs the same
packages, which were chosen and fetched here.
"""

from __future__ import annotations

import logging
import platform as machine
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ....exceptions import BentoMLException, InvalidArgument, NotFound
from ....process import CommandFailed, run
from ....store.archives.tar import Tar, TarEntry
from ....store.digest import Digest
from ...steps.model import FILES, Step, Steps
from ...steps.run import run_steps
from ..cache import Cache, kept_layer
from ..codec import gzip_codec
from ..model import Base
from .apt import ARCHITECTURES, Apt, Package, recalled
from .base_files import BaseFiles, read_base_files
from .deb import Deb
from .debs import FOR_SCRIPTS_ONLY, unpacked
from .scripts import what_matters
from .sources import chosen_sources
from .upon import upon_base

__all__ = ["with_packages"]

logger = logging.getLogger(__name__)

_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9+.:~_=-]*"
)  # of any distribution: no option, no path, nothing that a shell reads
_RECIPE = 1  # to be raised when the same packages give another layer
_ETC = Path("/etc/apt")
_DEBIAN = ("debian", "ubuntu")
_OTHERS = {
    "alpine": (("apk", "add", "--no-cache", "--"),),
    "amzn": (("yum", "install", "--assumeyes", "--"), ("yum", "clean", "all")),
    "fedora": (("dnf", "install", "--assumeyes", "--"), ("dnf", "clean", "all")),
    "rhel": (("dnf", "install", "--assumeyes", "--"), ("dnf", "clean", "all")),
}
_APT = (
    ("apt-get", "update"),
    ("apt-get", "install", "--yes", "--no-install-recommends", "--"),
    ("apt-get", "clean"),
)
_NONINTERACTIVE = {"DEBIAN_FRONTEND": "noninteractive"}


def with_packages(
    base: Base,
    names: Sequence[str],
    *,
    cache: Cache,
    env: Mapping[str, str],
    offline: bool = False,
    etc: Path = _ETC,
) -> Base:
    """Return the base with a layer more, in which packages of its distribution are installed, and all that they need.

    Which versions is decided once for a base, by the package sources of this machine where it runs the same distribution, else by the
    base's own; the cache keeps the decision, and the layer. What cannot be done here is done by an engine.

    Raises:
        InvalidArgument: a name is not that of a package.
        NotFound: offline, and the layer is not in the cache.
        BentoMLException: no such package, no mirror that answers, or no engine where one is needed.
    """
    if not names:
        return base
    if bad := [name for name in names if not _NAME.fullmatch(name)]:
        raise InvalidArgument(f"`{bad[0]}` is not the name of a package of the system")
    wanted = tuple(sorted(set(names)))
    key = {
        "system": _RECIPE,
        "base": [str(layer.descriptor.digest) for layer in base.layers],
        "packages": list(wanted),
    }

    def make(scratch: Path) -> Tar:
        if offline:
            raise NotFound(
                f"the packages {_listed(wanted)} on `{base.name}` are not in the cache; run once without `--offline`"
            )
        return _made(base, wanted, scratch, key, cache, env, etc)

    layer = kept_layer(cache, key, make, gzip_codec(), "system", f"packages {' '.join(wanted)}")
    return base._replace(layers=(*base.layers, layer))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _made(
    base: Base,
    names: Sequence[str],
    scratch: Path,
    key: object,
    cache: Cache,
    env: Mapping[str, str],
    etc: Path,
) -> Tar:
    files = read_base_files(base.layers, scratch)
    distribution = files.distribution()
    if distribution not in _DEBIAN:
        return _by_the_base(base, names, distribution, scratch, env)
    apt = _apt(base, files, scratch, cache, env, etc)
    if apt is None:
        return run_steps(base, _commands(names, _APT), scratch, env=env)
    packages, debs = _fetched(apt, names, Digest.of_json({"chosen": key}), cache, scratch)
    missed = [deb.field("Package") for deb in debs if what_matters(deb.field("Package"), deb.scripts)]
    if missed and not files.status:
        missed = []  # a base without dpkg, which no script would find: as a base of `debs:` is made
    return (
        run_steps(base, _installation(packages, missed, scratch), scratch, env=env)
        if missed
        else upon_base(debs, files)
    )


def _apt(
    base: Base, files: BaseFiles, scratch: Path, cache: Cache, env: Mapping[str, str], etc: Path
) -> Apt | None:
    """Return apt for the base; None where this machine has none, or knows no source."""
    architecture = ARCHITECTURES.get(base.platform.architecture)
    found = chosen_sources(files, scratch / "sources", etc=etc, own=_own_distribution())
    if architecture is None or found is None or not _has_apt(env):
        return None
    other = f"-{Digest.of(found.text.encode()).hex[:12]}" if found.trusted else ""
    folder = cache.folder("apt") / f"{files.codename()}-{architecture}{other}"
    provided = () if files.status else FOR_SCRIPTS_ONLY
    return Apt(
        folder, files.codename(), architecture, provided, env, etc, installed=files.installed(),
        sources=found.text, trusted=found.trusted, purpose=f"system packages on {base.name}",
    )  # fmt: skip


def _has_apt(env: Mapping[str, str]) -> bool:
    try:
        run(["apt-get", "--version"], env=env)
    except CommandFailed:
        return False
    return True


def _own_distribution() -> str:
    try:
        return machine.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


def _fetched(
    apt: Apt, names: Sequence[str], place: Digest, cache: Cache, scratch: Path
) -> tuple[tuple[Package, ...], list[Deb]]:
    """Return the packages that are needed, those of an earlier time while the mirrors have them, and their content."""
    if (record := cache.recall(place)) is not None:
        try:
            return recalled(record), unpacked(apt, recalled(record), scratch, keep=True)
        except BentoMLException as e:
            logger.warning(
                "the packages that were chosen before cannot be had any more, taking those of today: %s", e
            )
            for left in ("archives", "unpacked"):
                shutil.rmtree(scratch / left, ignore_errors=True)
    packages = apt.resolve(names)
    debs = unpacked(apt, packages, scratch, keep=True)
    cache.remember(place, {"packages": [package.fields() for package in packages]})
    return packages, debs


def _installation(packages: Sequence[Package], missed: Sequence[str], scratch: Path) -> Steps:
    """Return the step that installs the packages as their distribution does, with their scripts and without a network."""
    places = {package.file_name: f"{FILES}/debs/{package.file_name}" for package in packages}
    files = tuple(TarEntry.file(place, scratch / "archives" / name) for name, place in sorted(places.items()))
    install = (
        "apt-get",
        "install",
        "--yes",
        "--no-install-recommends",
        "--allow-downgrades",
    )
    argv = (*install, *(f"/{place}" for place in sorted(places.values())))
    name = f"system_packages (for the scripts of {', '.join(missed)})"
    return Steps("packages", (Step(name, argv),), files, _NONINTERACTIVE)


def _by_the_base(
    base: Base, names: Sequence[str], distribution: str, scratch: Path, env: Mapping[str, str]
) -> Tar:
    """Let the base's own tool install the packages."""
    commands = _OTHERS.get(distribution)
    if commands is None:
        raise BentoMLException(
            f"nobody knows how `{base.name}` installs {_listed(names)}: its distribution is `{distribution or 'unknown'}`; "
            "write it as a command of the image, or take another base"
        )
    return run_steps(base, _commands(names, commands), scratch, env=env)


def _commands(names: Sequence[str], commands: Sequence[Sequence[str]]) -> Steps:
    runs = [(*command, *names) if command[-1] == "--" else tuple(command) for command in commands]
    steps = tuple(Step(f"system_packages ({argv[0]} {argv[1]})", argv) for argv in runs)
    return Steps("packages", steps, (), _NONINTERACTIVE)
