"""What a Debian base says of itself, through all of its layers."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.builder.handmade import layer

from bentoml.builder.oci.debian.base_files import BaseFiles, read_base_files
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.tar import TarEntry

RELEASE = b'PRETTY_NAME="x"\nID=debian\nVERSION_CODENAME=bookworm\n'


def read(tmp_path: Path, *layers: list[TarEntry]) -> BaseFiles:
    return read_base_files([layer(entries) for entries in layers], tmp_path)


def test_upper_layers_count(tmp_path: Path) -> None:
    lower = [
        TarEntry.folder("etc"),
        TarEntry.file("etc/os-release", RELEASE),
        TarEntry.file("etc/apt/sources.list", b"deb http://x y z"),
        TarEntry.file("etc/apt/trusted.gpg.d/a.gpg", b"1"),
        TarEntry.folder("opt/old"),
        TarEntry.symlink("lib", "usr/lib"),
        TarEntry.file("etc/passwd", b"root"),
    ]
    upper = [
        TarEntry.file("etc/apt/.wh.sources.list", b""),
        TarEntry.file("etc/apt/trusted.gpg.d/.wh..wh..opq", b""),
        TarEntry.file("etc/apt/trusted.gpg.d/b.gpg", b"2"),
        TarEntry.file("opt/.wh.old", b""),
        TarEntry.file("var/lib/dpkg/status", b"Package: a\n"),
    ]
    found = read(tmp_path, lower, upper)
    assert set(found.texts) == {"etc/os-release", "etc/apt/trusted.gpg.d/b.gpg", "var/lib/dpkg/status"}
    assert found.folders == {"etc"}
    assert found.links == {"lib": "usr/lib"}
    assert (found.distribution(), found.codename()) == ("debian", "bookworm")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        (b"ID=linuxmint\nID_LIKE='ubuntu debian'\n", "ubuntu"),
        (b'ID="rhel"\n', "rhel"),
        (b'ID=rocky\nID_LIKE="rhel centos fedora"\n', "rhel"),
        (b'ID="amzn"\nID_LIKE="centos rhel fedora"\n', "amzn"),
        (b"ID=arch\n", "arch"),
        (b"", ""),
    ],
)
def test_what_a_base_is_like(tmp_path: Path, text: bytes, distribution: str) -> None:
    assert read(tmp_path, [TarEntry.file("usr/lib/os-release", text)]).distribution() == distribution


def test_what_is_installed_where_there_is_no_dpkg(tmp_path: Path) -> None:
    entries = [
        TarEntry.file("var/lib/dpkg/status.d/a", b"Package: a\nVersion: 1\n"),
        TarEntry.file("var/lib/dpkg/status.d/a.md5sums", b"0 x\n"),
    ]
    found = read(tmp_path, entries)
    assert found.installed() == "Package: a\nVersion: 1\nStatus: install ok installed\n\n"
    assert not found.status


def test_where_things_lie() -> None:
    base = BaseFiles(
        {}, set(), {"lib": "usr/lib", "var/run": "/run", "usr/lib/x": "../share/x", "a": "b", "b": "a"}
    )
    assert base.place_of("lib/y") == "usr/lib/y"
    assert base.place_of("var/run/y") == "run/y"
    assert base.place_of("lib/x/y") == "usr/share/x/y"
    assert base.place_of("lib") == "lib"
    with pytest.raises(BentoMLException, match="in a circle"):
        base.place_of("a/y")
