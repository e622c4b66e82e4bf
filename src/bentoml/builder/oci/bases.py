"""Bases: the images that a bento's image is built upon, opened from wherever they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .model import Base, Platform

__all__ = ["open_base"]


def open_base(
    reference: str, *, platform: Platform, cache: Path, env: Mapping[str, str], offline: bool = False
) -> Base:
    """Open the base image that ``reference`` names; its layers are read only when something needs their bytes.

    ``python:3.11-slim``, ``host/repository:tag``, ``...@sha256:...``: a registry; ``docker://NAME``: the local engine;
    ``oci:FOLDER[:TAG]``, ``oci-archive:FILE``, ``docker-archive:FILE``: files; ``debs:SUITE[:PACKAGE+PACKAGE]``: made
    here of Debian packages. ``cache`` is a folder of which only this package knows the content (``home.cache / "oci"``).

    Raises:
        InvalidArgument: the reference cannot be understood.
        NotFound: there is no such image, or none for the platform.
        BentoMLException: the place cannot be reached, or gives something else than it says.
    """
    raise NotImplementedError
