"""What a base holds is read from its layers as an engine would stack them."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import pytest
from tests.builder.handmade import GROUP, LIBC, PASSWD, base, layer

from bentoml.builder.oci.bases.rootfs import RootFS, read_rootfs
from bentoml.builder.oci.blobs import CheckedBlob
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.codec import Compressed, gzip_codec
from bentoml.builder.oci.members import each_member
from bentoml.builder.oci.model import Base, BytesBlob, Layer, Platform
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.tar import TarEntry

PATH = "/usr/local/bin:/usr/bin"


def of(*layers: Layer) -> Base:
    return Base("test", None, {}, layers, Platform())


def files(*paths: str, text: bytes = b"") -> Layer:
    return layer([TarEntry.file(path, text) for path in paths])


def test_a_base_like_python_slim(tmp_path: Path) -> None:
    found = read_rootfs(base(), Cache(tmp_path))
    assert found == RootFS(PASSWD, GROUP, ("/usr/local/bin/python3.11",), "2.36", ("home",), ("libc.so.6",))
    assert found.python("3.11", PATH) == "/usr/local/bin/python3.11"
    assert found.python("3.12", PATH) is None


def test_the_libraries_wherever_the_loader_may_look(tmp_path: Path) -> None:
    paths = (
        "lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libgomp.so.1", "usr/local/cuda/targets/x86_64-linux/lib/libcudart.so.12",
        "usr/lib/libc.musl-x86_64.so.1", "usr/share/doc/libx.so.1", "usr/lib/x86_64-linux-gnu/libz.a",
    )  # fmt: skip
    link = layer([TarEntry.symlink("usr/lib/libssl.so.3", "elsewhere/libssl.so.3.1")])
    found = read_rootfs(of(files(*paths), link, files("lib64/.wh.ld-linux-x86-64.so.2")), Cache(tmp_path))
    assert found.libraries == ("libc.musl-x86_64.so.1", "libcudart.so.12", "libgomp.so.1", "libssl.so.3")


@pytest.mark.parametrize(
    ("path", "text", "release"),
    [
        ("usr/bin/python3.11", b"x\x00\x003.11.2\x00y\x003.2.0\x00", "3.11.2"),
        ("usr/local/lib/libpython3.13.so.1.0", b"cpython-3.13.0rc1\x00", "3.13.0rc1"),
        ("usr/bin/python3.11", b"#!/bin/sh\n", ""),
        ("usr/bin/python3.11", b"13.11.2\x00 3.11.25", ""),
    ],
)
def test_the_release_of_a_python_is_what_it_says_itself(
    tmp_path: Path, path: str, text: bytes, release: str
) -> None:
    for found in (
        read_rootfs(of(files(path, text=text)), Cache(tmp_path)) for _ in range(2)
    ):  # once from the cache
        assert found.releases == ({f"/{path}": release} if release else {})


@pytest.mark.parametrize(
    ("interpreter", "release", "program"),
    [
        pytest.param("/usr/bin/python3.11", "3.11.2", "/usr/bin/python3.11", id="debian"),
        pytest.param(
            "/usr/local/bin/python3.11", "3.11.14", "/usr/local/bin/python3.11", id="by its library"
        ),
        pytest.param("/opt/venv/bin/python3.11", "3.11.2", "/usr/bin/python3.11", id="links"),
        pytest.param(
            "/app/.venv/bin/python3.11", "3.11.2", "/usr/bin/python3.11", id="a virtual environment"
        ),
        pytest.param("/opt/managed/python3.12", "", "/opt/managed/python3.12", id="unknown"),
    ],
)
def test_each_of_several_pythons_has_its_own_release(
    tmp_path: Path, interpreter: str, release: str, program: str
) -> None:
    layers = (
        files("usr/bin/python3.11", text=b"\x003.11.2\x00"),
        files("usr/local/bin/python3.11"),
        files("usr/local/lib/libpython3.11.so.1.0", text=b"\x003.11.14\x00"),
        layer(
            [
                TarEntry.symlink("app/.venv/bin/python3.11", "python3"),
                TarEntry.symlink("app/.venv/bin/python3", "python"),
                TarEntry.symlink("app/.venv/bin/python", "/usr/bin/python3.11"),
            ]
        ),
        layer([TarEntry.symlink("opt/venv/bin/python3.11", "../../link/bin/python3.11")]),
        layer([TarEntry.symlink("opt/link/bin/python3.11", "/usr/bin/python3.11")]),
    )
    for found in (read_rootfs(of(*layers), Cache(tmp_path)) for _ in range(2)):
        assert (found.release(interpreter), found.program(interpreter)) == (release, program)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    links = [TarEntry.symlink(f"{a}/bin/python3.11", f"/{b}/bin/python3.11") for a, b in ("xy", "yx")]
    assert read_rootfs(of(layer(links)), Cache(tmp_path)).release("/x/bin/python3.11") == ""


def test_what_was_read_is_remembered(tmp_path: Path) -> None:
    first = read_rootfs(base(), Cache(tmp_path))
    unreadable = tuple(Layer(la.diff_id, la.descriptor, BytesBlob(b"gone"), "base") for la in base().layers)
    assert read_rootfs(of(*unreadable), Cache(tmp_path)) == first


@pytest.mark.parametrize("path", ["etc", "etc/passwd", "etc/group"])
@pytest.mark.parametrize("kind", ["link", "hard link", "folder"])
def test_accounts_that_are_no_files_are_refused(tmp_path: Path, path: str, kind: str) -> None:
    texts = [
        TarEntry.file("usr/etc/passwd", b""),
        TarEntry.file("usr/etc/group", b""),
        TarEntry.file("a", b""),
    ]
    match kind:
        case "link":
            odd = TarEntry.symlink(path, "/usr/etc")
        case "hard link":
            odd = TarEntry(path, "hardlink", link="a")
        case _:
            odd = TarEntry.folder(path)
    if (path, kind) == ("etc", "folder"):
        assert read_rootfs(of(layer([*texts, odd])), Cache(tmp_path)).passwd == ""
        return
    with pytest.raises(BentoMLException, match="no account can be added"):
        read_rootfs(of(layer([*texts, odd])), Cache(tmp_path))
    hidden = layer([TarEntry.file(".wh.etc", b"")])
    assert read_rootfs(of(layer([*texts, odd]), hidden), Cache(tmp_path)).passwd == ""


@pytest.mark.parametrize("path", ["home", "app"])
def test_a_file_where_a_folder_should_be_is_none(tmp_path: Path, path: str) -> None:
    low, high = layer([TarEntry.folder(path)]), files(path)
    assert read_rootfs(of(low), Cache(tmp_path)).folders == (path,)
    assert read_rootfs(of(low, high), Cache(tmp_path)).folders == ()
    assert read_rootfs(of(high, low), Cache(tmp_path)).folders == (path,)


def test_a_layer_that_is_not_what_its_diff_id_says_is_refused(tmp_path: Path) -> None:
    right = files("usr/bin/python3.11")
    wrong = right._replace(diff_id=files("else").diff_id)
    for _ in range(2):
        with pytest.raises(BentoMLException, match=f"{wrong.diff_id}.*is damaged"):
            read_rootfs(of(wrong), Cache(tmp_path))
        read_rootfs(of(right), Cache(tmp_path))


def test_many_whiteouts_hide_what_they_name_in_little_time(tmp_path: Path) -> None:
    low = files(*(f"usr/lib/x/lib{number}.so.1" for number in range(500)), "usr/bin/python3.11")
    high = files(*(f"opt/.wh.{number}" for number in range(5_000)), "usr/lib/x/.wh.lib7.so.1")
    started = time.process_time()
    found = read_rootfs(of(low, high), Cache(tmp_path))
    assert len(found.libraries) == 499 and found.pythons
    assert time.process_time() - started < 2


def test_a_tar_of_many_members_keeps_none(tmp_path: Path) -> None:
    data = b"".join(tarfile.TarInfo(f"usr/share/{number}").tobuf() for number in range(2_000)) + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|") as archive:
        assert sum(1 for _ in each_member(archive)) == 2_000
        assert len(archive.members) <= 1  # type: ignore[attr-defined]  # as in the source


def test_the_first_python_on_the_path_counts(tmp_path: Path) -> None:
    found = read_rootfs(
        of(files("usr/bin/python3.11", "usr/local/bin/python3.11", "opt/x/bin/python3.9")), Cache(tmp_path)
    )
    assert found.python("3.11", "/usr/bin:/usr/local/bin") == "/usr/bin/python3.11"
    assert found.python("3.9", PATH) is None
    assert found.versions() == ["3.9", "3.11"]


@pytest.mark.parametrize(
    "upper",
    [
        pytest.param("usr/bin/.wh.python3.11", id="file"),
        pytest.param("usr/.wh.bin", id="folder"),
        pytest.param("usr/bin/.wh..wh..opq", id="opaque"),
    ],
)
def test_a_whiteout_hides_what_is_below(tmp_path: Path, upper: str) -> None:
    hidden = read_rootfs(of(files("usr/bin/python3.11"), files(upper)), Cache(tmp_path))
    assert hidden.pythons == ()


def test_a_whiteout_does_not_hide_what_its_own_layer_brings(tmp_path: Path) -> None:
    upper = files("usr/bin/.wh..wh..opq", "usr/bin/python3.12")
    assert read_rootfs(of(files("usr/bin/python3.11"), upper), Cache(tmp_path)).pythons == (
        "/usr/bin/python3.12",
    )


def test_a_later_layer_wins(tmp_path: Path) -> None:
    found = read_rootfs(
        of(files("etc/passwd", text=b"a"), files("etc/passwd", text=b"b\xff")), Cache(tmp_path)
    )
    assert found.passwd == "b\xff"


@pytest.mark.parametrize(
    ("path", "text", "libc"),
    [
        pytest.param(
            "lib/x86_64-linux-gnu/libc-2.31.so", LIBC.replace(b"2.36.", b"2.31."), "2.31", id="old debian"
        ),
        pytest.param("usr/lib64/libc.so.6", LIBC, "2.36", id="red hat"),
        pytest.param("lib/ld-musl-x86_64.so.1", b"", "musl", id="alpine"),
        pytest.param("usr/share/doc/libc.so.6", LIBC, "", id="not a library folder"),
    ],
)
def test_the_c_library(tmp_path: Path, path: str, text: bytes, libc: str) -> None:
    assert read_rootfs(of(files(path, text=text)), Cache(tmp_path)).libc == libc


def test_a_folder_that_is_a_link_is_there(tmp_path: Path) -> None:
    linked = layer([TarEntry.symlink("home", "var/home")])
    assert read_rootfs(of(linked), Cache(tmp_path)).folders == ("home",)


def test_a_layer_is_read_to_its_end_where_its_digest_is_checked(tmp_path: Path) -> None:
    whole = files("etc/passwd")
    other = files("etc/passwd", text=b"x")
    checked = CheckedBlob(other.blob, whole.descriptor.digest, "layer")
    with pytest.raises(BentoMLException, match="damaged"):
        read_rootfs(of(Layer(whole.diff_id, whole.descriptor, checked, "base")), Cache(tmp_path))
    assert not (tmp_path / "records").exists()


def test_a_damaged_layer_is_named(tmp_path: Path) -> None:
    whole = files("etc/passwd")
    damaged = Compressed(BytesBlob(b"x" * 2048), gzip_codec())
    with pytest.raises(BentoMLException, match=str(whole.descriptor.digest)):
        read_rootfs(of(Layer(whole.diff_id, whole.descriptor, damaged, "base")), Cache(tmp_path))
