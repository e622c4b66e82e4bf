"""apt: the machine's own sources, narrowed; what apt says, read; what cannot be, explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.oci.debian.apt import Apt, sources_of
from bentoml.exceptions import BentoMLException, InvalidArgument
from bentoml.store.digest import Digest

DEB822 = """\
# the distribution
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
Architectures: amd64
"""
ONE_LINE = """\
# deb http://off.example bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://old.example/debian bookworm main contrib # ours
deb-src http://old.example/debian bookworm main
deb http://third.example/repo stable main
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
    return tmp_path / "apt"


def test_deb822_sources_are_narrowed_to_the_suite(etc: Path) -> None:
    (etc / "sources.list.d" / "debian.sources").write_text(DEB822)
    (etc / "sources.list.d" / "other.sources").write_text(
        "Types: deb\nURIs: x\nSuites: nodistro\nComponents: main\n"
    )
    assert sources_of("bookworm", etc=etc, codename="bookworm") == (
        "Types: deb\nUris: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
        "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n\n"
        "Types: deb\nUris: http://mirror.example/security\nSuites: bookworm-security\nComponents: main\n"
    )


def test_one_line_sources_are_read(etc: Path) -> None:
    (etc / "sources.list").write_text(ONE_LINE)
    assert sources_of("bookworm", etc=etc, codename="bookworm") == (
        "Types: deb\nUris: http://old.example/debian\nSuites: bookworm\nComponents: main contrib\nSigned-By: /k.gpg\n"
    )


def test_another_suite_comes_from_the_machines_own_mirrors(etc: Path) -> None:
    (etc / "sources.list.d" / "debian.sources").write_text(DEB822)
    sources = sources_of("trixie", etc=etc, codename="bookworm")
    assert "Suites: trixie trixie-updates\n" in sources and "Suites: trixie-security\n" in sources


def test_disabled_sources_do_not_count(etc: Path) -> None:
    (etc / "sources.list.d" / "debian.sources").write_text(
        f"Enabled: no\n{DEB822.splitlines()[1]}\nSuites: bookworm\n"
    )
    with pytest.raises(BentoMLException, match="names no package source for `bookworm`"):
        sources_of("bookworm", etc=etc, codename="bookworm")


def test_a_machine_without_sources_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match=r"choose another base, such as `python:3\.11-slim`"):
        sources_of("bookworm", etc=tmp_path / "none", codename="")


SHA = "a" * 64
LISTING = f"""\
'http://m.example/b.deb' zlib1g_1%3a1.2.13_amd64.deb 86684 SHA256:{SHA}
'http://m.example/a.deb' base-files_12.4+deb12u1_all.deb 70936 SHA256:{SHA}
"""


def apt(tmp_path: Path, etc: Path, script: str) -> Apt:
    """Return an apt whose program is a script of the test."""
    (etc / "sources.list").write_text(ONE_LINE)
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Apt(
        tmp_path / "state",
        "bookworm",
        "amd64",
        ("debconf",),
        {"PATH": f"{program.parent}:/usr/bin:/bin"},
        etc,
    )


def test_the_list_is_exact_and_sorted(tmp_path: Path, etc: Path) -> None:
    (tmp_path / "listing").write_text(LISTING)
    found = apt(tmp_path, etc, f'case "$*" in *print-uris*) cat {tmp_path}/listing;; esac').resolve(
        ["zlib1g"]
    )
    assert [str(package) for package in found] == [f"base-files=12.4+deb12u1={SHA}", f"zlib1g=1:1.2.13={SHA}"]
    assert found[1].file_name == "zlib1g_1%3a1.2.13_amd64.deb" and found[1].digest == Digest(SHA)
    assert "Package: debconf\nStatus: install ok installed\n" in (tmp_path / "state" / "status").read_text()


def test_apt_is_told_to_trust_nobody_without_a_signature(tmp_path: Path, etc: Path) -> None:
    apt(tmp_path, etc, f'echo "$@" >> {tmp_path}/calls').resolve(["zlib1g"])
    for call in (tmp_path / "calls").read_text().splitlines():
        for option in (
            "AllowUnauthenticated=false",
            "AllowInsecureRepositories=false",
            f"Dir::State={tmp_path}/state",
        ):
            assert option in call


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'E: Unable to locate package nope' >&2; exit 100", "Unable to locate package nope"),
        ("echo \"'http://m.example/a.deb' a_1_all.deb 5 MD5Sum:00\"", "without a SHA256"),
    ],
    ids=["refused", "md5"],
)
def test_what_apt_cannot_do_is_an_error(tmp_path: Path, etc: Path, script: str, message: str) -> None:
    with pytest.raises(BentoMLException, match=message):
        apt(tmp_path, etc, script).resolve(["nope"])


def test_a_machine_without_apt_is_told_so(tmp_path: Path, etc: Path) -> None:
    (etc / "sources.list").write_text(ONE_LINE)
    with pytest.raises(BentoMLException, match="apt, which this machine does not have"):
        Apt(tmp_path / "state", "bookworm", "amd64", (), {"PATH": str(tmp_path)}, etc).resolve(["zlib1g"])


def test_a_disk_without_space_is_told_before_apt_is_called(tmp_path: Path, etc: Path) -> None:
    """Which tries for minutes when the disk is full."""
    crowded = apt(tmp_path, etc, f"touch {tmp_path}/called")._replace(space=1 << 60)
    with pytest.raises(BentoMLException, match=r"MiB of free space, and apt needs \d+; free some"):
        crowded.resolve(["zlib1g"])
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("name", ["-o", "a b", "Dir::X", "a;b", "", "--purge"])
def test_what_is_no_package_name_never_reaches_apt(tmp_path: Path, etc: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match="not the name of a Debian package"):
        apt(tmp_path, etc, f"touch {tmp_path}/called").resolve([name])
    assert not (tmp_path / "called").exists()
