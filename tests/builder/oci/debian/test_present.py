"""What a base has installed is read from its layers, whatever way it says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.builder.handmade import base, layer

from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.debian.present import PresentPackage, present_packages
from bentoml.builder.oci.model import Base
from bentoml.store.archives.tar import TarEntry

STATUS = b"""\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Description: GNU C Library

Package: gone
Status: deinstall ok config-files
Version: 1
"""
APART = b"Package: tzdata\nVersion: 2025a\nArchitecture: all\n"


def debian(*entries: TarEntry) -> Base:
    release = TarEntry.file("etc/os-release", b'ID="debian"\nVERSION_CODENAME=bookworm\n')
    plain = base()
    return plain._replace(layers=(*plain.layers, layer([release, *entries])))


def test_what_dpkg_says_and_what_stands_beside_it(tmp_path: Path) -> None:
    made = debian(
        TarEntry.file("var/lib/dpkg/status", STATUS), TarEntry.file("var/lib/dpkg/status.d/tz", APART)
    )
    expected = (
        PresentPackage("libc6", "2.36-9+deb12u10", "amd64", "debian"),
        PresentPackage("tzdata", "2025a", "all", "debian"),
    )
    cache = Cache(tmp_path)
    assert present_packages(made, cache) == expected
    unreadable = made._replace(layers=tuple(one._replace(blob=Unreadable()) for one in made.layers))
    assert present_packages(unreadable, cache) == expected, "the layers are read once"


class Unreadable:
    def chunks(self) -> Iterator[bytes]:
        raise AssertionError("a layer was read again")


def test_a_base_of_another_kind(tmp_path: Path) -> None:
    assert present_packages(base(), Cache(tmp_path)) == ()
