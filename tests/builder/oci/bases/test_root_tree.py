"""Root file systems as bases: a folder or a tar gives one layer, and a hostile tar gives none."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bentoml.builder.oci.bases.root_tree import open_root_tree
from bentoml.builder.oci.bases.rootfs import read_rootfs
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.model import Base, Platform
from bentoml.exceptions import BentoMLException, NotFound

AMD64, ARM64 = Platform(), Platform("linux", "arm64")
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(40)  # of x86-64


def opened(place: Path, cache: Path, platform: Platform = AMD64) -> Base:
    return open_base(f"rootfs:{place}", platform=platform, cache=cache, env={}, offline=True)


def members(base: Base) -> dict[str, tarfile.TarInfo]:
    data = b"".join(decompressed(base.layers[0].blob.chunks()))
    return {info.name: info for info in tarfile.open(fileobj=io.BytesIO(data))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small root file system with an entry of each kind."""
    folder = tmp_path / "root"
    for name in ("usr/bin", "etc", "tmp", "proc"):
        (folder / name).mkdir(parents=True)
    (folder / "usr/bin/python3.11").write_bytes(ELF)
    (folder / "usr/bin/python3.11").chmod(0o755)
    (folder / "usr/bin/z").hardlink_to(folder / "usr/bin/python3.11")
    (folder / "usr/bin/su").write_text("#!/bin/sh\n")
    (folder / "usr/bin/su").chmod(0o4755)
    (folder / "bin").symlink_to("usr/bin")
    (folder / "etc/mtab").symlink_to("/proc/self/mounts")
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (folder / "tmp").chmod(0o1777)
    if os.getuid() == 0:
        os.chown(folder / "etc/passwd", 0, 42)
    return folder


def packed(root: Path, file: Path) -> Path:
    def as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
        if os.getuid() != 0:
            info.uid = info.gid = 0
        return info

    with tarfile.open(file, "w") as tar:
        tar.add(root, ".", filter=as_root)
    return file


def test_a_folder(root: Path, tmp_path: Path) -> None:
    base = opened(root, tmp_path / "cache")
    found = members(base)
    assert sorted(found) == [
        *("bin", "etc", "etc/mtab", "etc/passwd", "proc", "tmp", "usr", "usr/bin"),
        *("usr/bin/python3.11", "usr/bin/su", "usr/bin/z"),
    ]
    assert (found["tmp"].mode, found["usr/bin/su"].mode) == (0o1777, 0o4755)
    assert (found["bin"].linkname, found["etc/mtab"].linkname) == ("usr/bin", "/proc/self/mounts")
    assert found["usr/bin/z"].islnk() and found["usr/bin/z"].linkname == "usr/bin/python3.11"
    assert all((info.uid, info.mtime) == (0, 0) for info in found.values())
    assert found["etc/passwd"].gid == (42 if os.getuid() == 0 else 0)
    assert base.config["architecture"] == "amd64" and base.name == f"rootfs:{root}"
    assert read_rootfs(base, Cache(tmp_path / "cache")).pythons == ("/usr/bin/python3.11",)


def test_the_same_files_are_the_same_layer_whatever_they_come_in(root: Path, tmp_path: Path) -> None:
    plain = packed(root, tmp_path / "plain.tar")
    (tmp_path / "root.tar.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "root.tar.xz").write_bytes(lzma.compress(plain.read_bytes()))
    places = [root, plain, tmp_path / "root.tar.gz", tmp_path / "root.tar.xz"]
    assert len({opened(place, tmp_path / "cache").layers[0].diff_id for place in places}) == 1
    os.utime(root / "etc/passwd", (1, 1))
    assert opened(root, tmp_path / "other").layers[0].diff_id == opened(plain, tmp_path).layers[0].diff_id


def test_it_is_read_once_and_again_when_it_changed(root: Path, tmp_path: Path) -> None:
    before = opened(root, tmp_path / "cache")
    blobs = sorted((tmp_path / "cache/blobs/sha256").iterdir())
    assert opened(root, tmp_path / "cache").layers[0].diff_id == before.layers[0].diff_id
    assert sorted((tmp_path / "cache/blobs/sha256").iterdir()) == blobs
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/no\n")
    assert opened(root, tmp_path / "cache").layers[0].diff_id != before.layers[0].diff_id


def test_devices_and_sockets_of_a_folder_are_left_to_the_engine(root: Path, tmp_path: Path) -> None:
    (root / "dev").mkdir()
    os.mkfifo(root / "dev/pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "dev/log"))
        names = set(members(opened(root, tmp_path / "cache")))
    assert "dev" in names and names.isdisjoint({"dev/pipe", "dev/log"})


@pytest.mark.parametrize(
    "name", [b"etc/a\nb", b"etc/\xff", b"etc/.wh.passwd"], ids=["newline", "latin-1", "whiteout"]
)
def test_a_folder_with_names_that_mean_something_else_is_refused(
    root: Path, tmp_path: Path, name: bytes
) -> None:
    Path(root, os.fsdecode(name)).write_text("x")
    with pytest.raises(BentoMLException, match=r"`rootfs:.*/root` is refused: "):
        opened(root, tmp_path / "cache")


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_one_for_another_machine_is_refused(root: Path, tmp_path: Path, kind: str) -> None:
    place = root if kind == "folder" else packed(root, tmp_path / "root.tar")
    for cache in ("cold", "cold", "warm"):
        if cache == "warm":
            opened(place, tmp_path / "cache")
        with pytest.raises(NotFound, match="is for `linux/amd64`, not for `linux/arm64`"):
            opened(place, tmp_path / "cache", ARM64)


def test_what_is_no_root_file_system_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.png").write_text("miau")
    with pytest.raises(NotFound, match="no root file system"):
        opened(tmp_path / "photos", tmp_path / "cache")
    with pytest.raises(NotFound, match="no such folder or tar"):
        opened(tmp_path / "none", tmp_path / "cache")


def hostile(name: str = "etc/x", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    ("infos", "said"),
    [
        pytest.param([hostile("/etc/passwd")], "absolute", id="absolute"),
        pytest.param([hostile("../escape")], "leaves its folder", id="climbs"),
        pytest.param([hostile("usr/../../escape")], "leaves its folder", id="climbs later"),
        pytest.param([hostile("etc/x"), hostile("etc/x")], "twice", id="twice"),
        pytest.param(
            [hostile("a", tarfile.SYMTYPE, "/etc"), hostile("a/b")], "no folder", id="through a link"
        ),
        pytest.param(
            [hostile("a/b"), hostile("a", tarfile.SYMTYPE, "/etc")], "twice", id="link over a folder"
        ),
        pytest.param([hostile("a", tarfile.LNKTYPE, "../../etc/shadow")], "leaves its folder", id="link out"),
        pytest.param([hostile("a", tarfile.LNKTYPE, "/etc/shadow")], "absolute", id="absolute link"),
        pytest.param([hostile("a", tarfile.LNKTYPE, "nothing")], "no file before it", id="link to nothing"),
        pytest.param([hostile("dev/sda", tarfile.BLKTYPE)], "exclude", id="block device"),
        pytest.param([hostile("dev/null", tarfile.CHRTYPE)], "exclude", id="character device"),
        pytest.param([hostile("run/pipe", tarfile.FIFOTYPE)], "exclude", id="pipe"),
        pytest.param([hostile("etc/.wh.passwd")], "hide another file", id="whiteout"),
        pytest.param([hostile("etc/a\nb")], "control characters", id="newline"),
    ],
)
def test_a_hostile_tar_is_refused_and_leaves_nothing(
    tmp_path: Path, infos: list[tarfile.TarInfo], said: str
) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        for info in infos:
            tar.addfile(info)
    with pytest.raises(BentoMLException, match=said):
        opened(tmp_path / "bad.tar", tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("uid", [-1, 2**32])
def test_an_owner_that_nobody_can_be_is_refused(tmp_path: Path, uid: int) -> None:
    info = hostile()
    info.uid = uid
    file = tmp_path / "root.tar"
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    with pytest.raises(BentoMLException, match="out of range"):
        opened(file, tmp_path / "cache")


def test_a_tar_that_would_fill_a_disk_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.tar.gz").write_bytes(gzip.compress(bytes(3 << 20)))
    with pytest.raises(BentoMLException, match="200 times its own size"):
        open_root_tree(tmp_path / "bomb.tar.gz", platform=AMD64, cache=Cache(tmp_path), always=1 << 20)


@pytest.mark.parametrize("cut", [100, 1500])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["tar", "gz", "xz"])
def test_what_is_cut_off_is_refused(
    root: Path, tmp_path: Path, pack: Callable[[bytes], bytes], cut: int
) -> None:
    data = pack(packed(root, tmp_path / "whole.tar").read_bytes())
    (tmp_path / "cut").write_bytes(data[: min(cut, len(data) - 20)])
    with pytest.raises(BentoMLException, match=r"not a whole tar|is refused|no root file system"):
        opened(tmp_path / "cut", tmp_path / "cache")
