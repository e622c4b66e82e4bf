"""Bases: the images that a bento's image is built upon, opened from wherever they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ....store.archives.watch import Watch
from ..cache import Cache
from ..model import Base, Platform
from .pull import open_registry_image
from .scheme import scheme_of

__all__ = ["open_base"]


def open_base(
    reference: str,
    *,
    platform: Platform,
    cache: Path,
    env: Mapping[str, str],
    offline: bool = False,
    watch: Watch | None = None,
) -> Base:
    """Open the base image that ``reference`` names; its layers are read only when something needs their bytes.

    ``python:3.11-slim``, ``host/repository:tag``, ``...@sha256:...``: a registry; ``docker://NAME``: the local engine;
    ``oci:FOLDER[:TAG]``, ``oci-archive:FILE[:TAG]``, ``docker-archive:FILE[:NAME]``: files; ``rootfs:FOLDER`` or
    ``rootfs:FILE.tar[.gz|.xz]``: a root file system;
    ``debs:SUITE[:PACKAGE+PACKAGE]``: made here of Debian packages. ``cache`` is a folder of which only this package
    knows the content (``home.cache / "oci"``). ``offline`` dials nobody: what is not in the cache is not found. ``watch`` is told of the bytes that a registry sends.

    Raises:
        InvalidArgument: the reference cannot be understood.
        NotFound: there is no such image, or none for the platform.
        BentoMLException: the place cannot be reached, or gives something else than it says.
    """
    kept = Cache(cache)
    scheme, rest = scheme_of(reference)
    match scheme:
        case "docker":
            from .engine import open_engine_image

            return open_engine_image(rest, platform=platform, cache=kept, env=env, offline=offline)
        case "debs":
            from ..debian.debs import open_debs

            return open_debs(rest, platform=platform, cache=kept, env=env, offline=offline)
        case "":
            return open_registry_image(
                reference, platform=platform, cache=kept, env=env, offline=offline, watch=watch
            )
    return _open_file(scheme, rest, reference, platform, kept)


def _open_file(scheme: str, rest: str, name: str, platform: Platform, cache: Cache) -> Base:
    """Open a base that lies on this machine."""
    if scheme == "rootfs":
        from .root_tree import open_root_tree

        return open_root_tree(Path(rest), platform=platform, cache=cache)
    path, tag = _path_and_tag(rest)
    if scheme == "oci":
        from ..layout import open_layout

        return open_layout(path, tag, platform=platform)
    from ..archive import open_docker_archive, open_oci_archive

    if scheme == "oci-archive":
        return open_oci_archive(path, tag, platform=platform)
    return open_docker_archive(path, tag, name=name, platform=platform, cache=cache)[0]


def _path_and_tag(text: str) -> tuple[Path, str | None]:
    """Split ``PATH[:TAG]``; a path that exists as it stands may hold colons."""
    path, colon, tag = text.partition(":")
    if not colon or Path(text).exists():
        return Path(text), None
    return Path(path), tag
