"""Debian packages as data, and the file system that they make together."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.builder.oci.debian import Compression, folder, hardlink, member, symlink, write_deb

from bentoml.builder.oci.bases import open_base
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.deb import Deb, read_deb
from bentoml.builder.oci.debs import open_debs, root_entries
from bentoml.builder.oci.model import Platform
from bentoml.builder.oci.tar import Tar, TarEntry
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound

AMD64 = Platform()
FIELDS = {"Package": "demo", "Version": "1:2.0-1", "Architecture": "amd64"}


def deb(
    tmp_path: Path, name: str, *members: tuple[tarfile.TarInfo, bytes], compression: Compression = "xz"
) -> Deb:
    file = write_deb(tmp_path / f"{name}.deb", members, FIELDS | {"Package": name}, compression)
    (tmp_path / name).mkdir()
    return read_deb(file, tmp_path / name)


@pytest.mark.parametrize("compression", ["", "gz", "xz", "bz2"])
def test_a_package_is_read(tmp_path: Path, compression: Compression) -> None:
    found = deb(
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


def paths(debs: Sequence[Deb]) -> dict[str, TarEntry]:
    return {entry.path: entry for entry in root_entries(debs)}


def test_usr_is_merged(tmp_path: Path) -> None:
    found = paths([
        deb(tmp_path, "libc6", folder("lib"), member("lib/libc.so.6"), folder("lib64"), symlink("lib64/ld.so", "/lib/ld")),
        deb(tmp_path, "dash", folder("bin"), member("bin/dash", mode=0o755)),
        deb(tmp_path, "new", symlink("bin", "usr/bin"), member("usr/bin/new")),
    ])  # fmt: skip
    assert found["bin"] == TarEntry.symlink("bin", "usr/bin")
    assert found["lib64"] == TarEntry.symlink("lib64", "usr/lib64")
    assert found["usr/bin/sh"].link == "dash"
    assert found["usr/lib/libc.so.6"].kind == "file" and found["usr/lib64/ld.so"].link == "/lib/ld"
    assert "sbin" not in found and not any(path.startswith(("bin/", "lib/")) for path in found)


def test_documentation_is_left_out_and_licences_stay(tmp_path: Path) -> None:
    found = paths([
        deb(tmp_path, "demo", member("usr/share/doc/demo/changelog.gz"), member("usr/share/doc/demo/copyright"),
            member("usr/share/man/man1/demo.1.gz"), member("usr/share/locale/de/x.mo"))
    ])  # fmt: skip
    assert "usr/share/doc/demo/copyright" in found
    assert not any("man1" in path or "locale" in path or "changelog" in path for path in found)


def test_packages_are_registered_for_scanners(tmp_path: Path) -> None:
    found = paths([deb(tmp_path, "demo", member("usr/bin/demo"))])
    assert (
        found["var/lib/dpkg/status.d/demo"].source
        == b"Package: demo\nVersion: 1:2.0-1\nArchitecture: amd64\n"
    )
    assert found["var/lib/dpkg/status.d/demo.md5sums"].source == b"00  x\n"


def test_certificates_are_bundled_where_openssl_looks(tmp_path: Path) -> None:
    where = "usr/share/ca-certificates/mozilla"
    found = paths(
        [deb(tmp_path, "ca-certificates", member(f"{where}/B.crt", b"B\n\n"), member(f"{where}/A.crt", b"A"))]
    )
    assert found["etc/ssl/certs/ca-certificates.crt"].source == b"A\nB\n"
    assert found["usr/lib/ssl/cert.pem"].link == "/etc/ssl/certs/ca-certificates.crt"


def test_accounts_are_there(tmp_path: Path) -> None:
    master = member("usr/share/base-passwd/passwd.master", b"root:*:0:0:root:/root:/bin/sh\n")
    found = paths([deb(tmp_path, "base-passwd", master)])
    assert isinstance(source := found["etc/passwd"].source, Path) and source.read_bytes().startswith(b"root:")


def test_the_modes_of_folders_are_those_of_base_files(tmp_path: Path) -> None:
    found = paths([
        deb(tmp_path, "a", folder("tmp", 0o755), member("tmp/x")),
        deb(tmp_path, "base-files", folder("tmp", 0o1777)),
    ])  # fmt: skip
    assert found["tmp"].mode == 0o1777
    assert found["var/lib/dpkg"] == TarEntry.folder("var/lib/dpkg"), "parents are there"


def test_hard_links_come_after_their_file(tmp_path: Path) -> None:
    found = paths([
        deb(tmp_path, "perl", member("usr/bin/perl5", b"ELF", mode=0o755), hardlink("usr/bin/perl", "usr/bin/perl5"),
            member("bin/z", b"Z"), hardlink("bin/a", "bin/z"), hardlink("bin/b", "bin/z"))
    ])  # fmt: skip
    assert found["usr/bin/perl"].kind == "file" and found["usr/bin/perl"].mode == 0o755
    assert (found["usr/bin/perl5"].kind, found["usr/bin/perl5"].link) == ("hardlink", "usr/bin/perl")
    assert {found[f"usr/bin/{name}"].link for name in ("b", "z")} == {"usr/bin/a"}
    Tar.of(found.values())


def test_two_packages_with_one_file_are_refused(tmp_path: Path) -> None:
    debs = [deb(tmp_path, "a", member("usr/bin/x")), deb(tmp_path, "b", member("bin/x"))]
    with pytest.raises(BentoMLException, match="`b` holds `/usr/bin/x`, which another package holds too"):
        root_entries(debs)


def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a plain relative path"):
        Tar.of(root_entries([deb(tmp_path, "evil", member("usr/../../etc/cron.d/x", b"boom"))]))


def test_the_order_of_packages_does_not_matter(tmp_path: Path) -> None:
    debs = [
        deb(tmp_path, name, folder("usr"), member(f"usr/{name}", b"x")) for name in ("b", "a", "base-files")
    ]
    assert Tar.of(root_entries(debs)) == Tar.of(root_entries(debs[::-1]))


@pytest.mark.parametrize(
    "reference", ["", "book/worm", "../x", "bookworm:", "bookworm:a++b", "bookworm@sha256:1", "a b"]
)
def test_references_are_checked(tmp_path: Path, reference: str) -> None:
    with pytest.raises(InvalidArgument):
        open_debs(reference, platform=AMD64, cache=Cache(tmp_path), env={})


def test_an_unknown_platform_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no Debian packages for `windows/amd64`"):
        open_debs("bookworm", platform=Platform("windows", "amd64"), cache=Cache(tmp_path), env={})


def test_offline_without_a_list_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="run once without `--offline`"):
        open_debs("bookworm", platform=AMD64, cache=Cache(tmp_path), env={}, offline=True)


@pytest.mark.slow
def test_a_real_base_is_the_same_wherever_it_is_made_and_known_the_second_time(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    one, two = (
        open_base("debs:bookworm", platform=AMD64, cache=tmp_path / name, env=env) for name in ("a", "b")
    )
    assert one.digest == two.digest and one.layers[0].diff_id == two.layers[0].diff_id
    assert one.layers[0].descriptor == two.layers[0].descriptor
    started = time.perf_counter()
    again = open_base("debs:bookworm", platform=AMD64, cache=tmp_path / "a", env={}, offline=True)
    pinned = open_base(f"debs:bookworm@{one.digest}", platform=AMD64, cache=tmp_path / "a", env={})
    assert time.perf_counter() - started < 0.5
    assert again == one and pinned.layers == one.layers
    data = b"".join(decompressed(one.layers[0].blob.chunks()))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = {info.name: info for info in archive}
    for path in ("usr/bin/python3", "usr/bin/sh", "etc/passwd", "etc/ssl/certs/ca-certificates.crt"):
        assert path in names
    assert names["tmp"].mode == 0o1777
    assert not any(name.startswith(("var/lib/apt", "usr/share/man")) for name in names)
    assert len(data) < 80_000_000


@pytest.mark.slow
def test_a_pinned_list_that_is_gone_is_not_found(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    pin = f"sha256:{'0' * 64}"
    with pytest.raises(NotFound, match="no longer have the packages"):
        open_base(f"debs:bookworm@{pin}", platform=AMD64, cache=tmp_path, env=env)
