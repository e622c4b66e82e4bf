"""One Debian package, read as data."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from tests.builder.oci.debian.made import (
    FIELDS,
    Compression,
    folder,
    hardlink,
    member,
    symlink,
    unpacked,
    write_deb,
)

from bentoml.builder.oci.debian.deb import read_deb
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.tar import TarEntry


@pytest.mark.parametrize("compression", ["", "gz", "xz", "bz2"])
def test_a_package_is_read(tmp_path: Path, compression: Compression) -> None:
    found = unpacked(
        tmp_path, "demo",
        folder("usr/bin", 0o755), member("usr/bin/su", b"ELF", mode=0o4755), symlink("usr/bin/sh", "dash"),
        hardlink("usr/bin/su2", "usr/bin/su"), compression=compression,
    )  # fmt: skip
    entries = {entry.path: entry for entry in found.entries}
    assert (
        found.field("package") == "demo" and found.field("Version") == "1:2.0-1" and found.field("Nope") == ""
    )
    assert found.md5sums == b"00  x\n"
    assert entries["usr/bin"] == TarEntry.folder("usr/bin")
    assert entries["usr/bin/su"].mode == 0o4755
    assert isinstance(source := entries["usr/bin/su"].source, Path) and source.read_bytes() == b"ELF"
    assert entries["usr/bin/sh"].link == "dash"
    assert (entries["usr/bin/su2"].kind, entries["usr/bin/su2"].link) == ("hardlink", "usr/bin/su")


@pytest.mark.parametrize("damage", ["empty", "noise", "cut", "no-data", "device"])
def test_a_damaged_package_is_refused(tmp_path: Path, damage: str) -> None:
    members = [member("f", bytes(50_000))]
    if damage == "device":
        members = [member("dev/null", kind=tarfile.CHRTYPE)]
    file = write_deb(tmp_path / "demo.deb", members, FIELDS)
    data = file.read_bytes()
    changed = {
        "empty": b"",
        "noise": b"x" * 100,
        "cut": data[:-20],
        "no-data": data.replace(b"data.tar", b"none.tar"),
    }
    file.write_bytes(changed.get(damage, data))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(BentoMLException, match=r"demo\.deb` is not a whole Debian package"):
        read_deb(file, tmp_path / "scratch")
