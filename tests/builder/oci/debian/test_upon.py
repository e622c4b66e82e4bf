"""The layer of packages upon a base that has others."""

from __future__ import annotations

from pathlib import Path

from tests.builder.oci.debian.made import folder, hardlink, member, symlink, unpacked

from bentoml.builder.oci.debian.base_files import BaseFiles
from bentoml.builder.oci.debian.upon import upon_base
from bentoml.store.archives.tar import TarEntry

BASE = BaseFiles(
    {
        "var/lib/dpkg/status": b"Package: old\nArchitecture: all\nVersion: 1\n\nPackage: demo\nArchitecture: amd64\nVersion: 1\n"
    },
    {"usr", "usr/bin", "usr/lib", "var", "var/lib", "var/lib/dpkg", "var/lib/dpkg/info"},
    {"lib": "usr/lib", "bin": "usr/bin"},
)


def entries(tmp_path: Path, base: BaseFiles = BASE) -> dict[str, TarEntry]:
    deb = unpacked(
        tmp_path, "demo", folder("lib"), folder("usr/bin"), folder("opt/demo"), member("lib/demo.so", b"so"),
        member("bin/demo", b"ELF", mode=0o755), hardlink("bin/also", "bin/demo"), symlink("usr/bin/link", "demo"),
        member("usr/share/man/man1/demo.1", b"page"),
    )  # fmt: skip
    return {entry.path: entry for entry in upon_base([deb], base).entries}


def test_files_go_where_the_links_of_the_base_lead(tmp_path: Path) -> None:
    made = entries(tmp_path)
    assert {"usr/lib/demo.so", "usr/bin/demo", "usr/bin/also", "usr/bin/link"} <= made.keys()
    assert not {"lib", "bin", "lib/demo.so", "usr/share/man/man1/demo.1"} & made.keys()


def test_folders_of_the_base_stay_as_they_are(tmp_path: Path) -> None:
    made = [path for path, entry in entries(tmp_path).items() if entry.kind == "dir"]
    assert made == ["opt", "opt/demo"]


def test_dpkg_knows_what_is_installed(tmp_path: Path) -> None:
    made = entries(tmp_path)
    status = made["var/lib/dpkg/status"].source
    assert status == (
        b"Package: old\nArchitecture: all\nVersion: 1\n\n"
        b"Package: demo\nStatus: install ok installed\nVersion: 1:2.0-1\nArchitecture: amd64\n\n"
    )
    listed = made["var/lib/dpkg/info/demo.list"].source
    assert isinstance(listed, bytes) and b"/bin/demo\n" in listed
    assert "var/lib/dpkg/info/demo.md5sums" in made


def test_a_base_without_dpkg_gets_what_scanners_read(tmp_path: Path) -> None:
    made = entries(tmp_path, BaseFiles({}, set(), {}))
    assert {"var/lib/dpkg/status.d/demo", "var/lib/dpkg/status.d/demo.md5sums"} <= made.keys()
    assert "var/lib/dpkg/status" not in made
