"""The file system that packages make together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.builder.oci.debian.made import folder, hardlink, member, symlink, unpacked

from bentoml.builder.oci.debian.deb import Deb
from bentoml.builder.oci.debian.debroot import root_entries
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.tar import Tar, TarEntry


def paths(debs: Sequence[Deb]) -> dict[str, TarEntry]:
    return {entry.path: entry for entry in root_entries(debs)}


def test_usr_is_merged(tmp_path: Path) -> None:
    found = paths([
        unpacked(tmp_path, "libc6", folder("lib"), member("lib/libc.so.6"), folder("lib64"), symlink("lib64/ld.so", "/lib/ld")),
        unpacked(tmp_path, "dash", folder("bin"), member("bin/dash", mode=0o755)),
        unpacked(tmp_path, "new", symlink("bin", "usr/bin"), member("usr/bin/new")),
    ])  # fmt: skip
    assert found["bin"] == TarEntry.symlink("bin", "usr/bin")
    assert found["lib64"] == TarEntry.symlink("lib64", "usr/lib64")
    assert found["usr/bin/sh"].link == "dash"
    assert found["usr/lib/libc.so.6"].kind == "file" and found["usr/lib64/ld.so"].link == "/lib/ld"
    assert "sbin" not in found and not any(path.startswith(("bin/", "lib/")) for path in found)


@pytest.mark.parametrize(("command", "program"), [("which", "which.debianutils"), ("awk", "mawk")])
def test_commands_are_found_as_debian_chooses_them(tmp_path: Path, command: str, program: str) -> None:
    found = paths([unpacked(tmp_path, "tools", member(f"usr/bin/{program}", mode=0o755))])
    assert found[f"usr/bin/{command}"] == TarEntry.symlink(f"usr/bin/{command}", program)


def test_documentation_is_left_out_and_licences_stay(tmp_path: Path) -> None:
    found = paths([
        unpacked(tmp_path, "demo", member("usr/share/doc/demo/changelog.gz"), member("usr/share/doc/demo/copyright"),
            member("usr/share/man/man1/demo.1.gz"), member("usr/share/locale/de/x.mo"))
    ])  # fmt: skip
    assert "usr/share/doc/demo/copyright" in found
    assert not any("man1" in path or "locale" in path or "changelog" in path for path in found)


def test_packages_are_registered_for_scanners(tmp_path: Path) -> None:
    found = paths([unpacked(tmp_path, "demo", member("usr/bin/demo"))])
    assert (
        found["var/lib/dpkg/status.d/demo"].source
        == b"Package: demo\nVersion: 1:2.0-1\nArchitecture: amd64\n"
    )
    assert found["var/lib/dpkg/status.d/demo.md5sums"].source == b"00  x\n"


def test_certificates_are_bundled_where_openssl_looks(tmp_path: Path) -> None:
    where = "usr/share/ca-certificates/mozilla"
    found = paths(
        [
            unpacked(
                tmp_path,
                "ca-certificates",
                member(f"{where}/B.crt", b"B\n\n"),
                member(f"{where}/A.crt", b"A"),
            )
        ]
    )
    assert found["etc/ssl/certs/ca-certificates.crt"].source == b"A\nB\n"
    assert found["usr/lib/ssl/cert.pem"].link == "/etc/ssl/certs/ca-certificates.crt"


def test_accounts_are_there(tmp_path: Path) -> None:
    master = member("usr/share/base-passwd/passwd.master", b"root:*:0:0:root:/root:/bin/sh\n")
    found = paths([unpacked(tmp_path, "base-passwd", master)])
    assert isinstance(source := found["etc/passwd"].source, Path) and source.read_bytes().startswith(b"root:")


def test_the_folders_that_base_files_makes_by_its_script_are_there(tmp_path: Path) -> None:
    found = paths([unpacked(tmp_path, "base-files", folder("tmp", 0o1777))])
    for path in ("opt", "srv", "mnt", "media", "usr/local/bin", "usr/local/lib"):
        assert found[path] == TarEntry.folder(path), "a step that installs something puts it there"
    assert "opt" not in paths([unpacked(tmp_path, "other", folder("tmp"))])


def test_the_modes_of_folders_are_those_of_base_files(tmp_path: Path) -> None:
    found = paths([
        unpacked(tmp_path, "a", folder("tmp", 0o755), member("tmp/x")),
        unpacked(tmp_path, "base-files", folder("tmp", 0o1777)),
    ])  # fmt: skip
    assert found["tmp"].mode == 0o1777
    assert found["var/lib/dpkg"] == TarEntry.folder("var/lib/dpkg"), "parents are there"


def test_hard_links_come_after_their_file(tmp_path: Path) -> None:
    found = paths([
        unpacked(tmp_path, "perl", member("usr/bin/perl5", b"ELF", mode=0o755), hardlink("usr/bin/perl", "usr/bin/perl5"),
            member("bin/z", b"Z"), hardlink("bin/a", "bin/z"), hardlink("bin/b", "bin/z"))
    ])  # fmt: skip
    assert found["usr/bin/perl"].kind == "file" and found["usr/bin/perl"].mode == 0o755
    assert (found["usr/bin/perl5"].kind, found["usr/bin/perl5"].link) == ("hardlink", "usr/bin/perl")
    assert {found[f"usr/bin/{name}"].link for name in ("b", "z")} == {"usr/bin/a"}
    Tar.of(found.values())


def test_two_packages_with_one_file_are_refused(tmp_path: Path) -> None:
    debs = [unpacked(tmp_path, "a", member("usr/bin/x")), unpacked(tmp_path, "b", member("bin/x"))]
    with pytest.raises(BentoMLException, match="`b` holds `/usr/bin/x`, which another package holds too"):
        root_entries(debs)


def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a plain relative path"):
        Tar.of(root_entries([unpacked(tmp_path, "evil", member("usr/../../etc/cron.d/x", b"boom"))]))


def test_the_order_of_packages_does_not_matter(tmp_path: Path) -> None:
    debs = [
        unpacked(tmp_path, name, folder("usr"), member(f"usr/{name}", b"x"))
        for name in ("b", "a", "base-files")
    ]
    assert Tar.of(root_entries(debs)) == Tar.of(root_entries(debs[::-1]))
