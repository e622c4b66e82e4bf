"""What becomes of an engine's layer: no clocks, nothing that only the steps saw, no secret."""

from __future__ import annotations

import io
import struct
import tarfile
from pathlib import Path

import pytest

from bentoml.builder.steps.layer import check_secrets, step_entries
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.tar import Tar, TarEntry
from bentoml.store.digest import Digest


def layer(
    folder: Path, *members: tuple[str, bytes | str], kind: bytes = tarfile.REGTYPE, mtime: int = 1
) -> Path:
    """Write a layer; text is what a link points to."""
    file = folder / "layer.tar"
    with tarfile.open(file, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime, info.type, info.mode, info.uid = mtime, kind, 0o640, 7
            if isinstance(content, str):
                info.linkname = content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return file


def paths(entries: list[TarEntry]) -> list[str]:
    return sorted(entry.path for entry in entries)


def test_times_and_order_do_not_matter(tmp_path: Path) -> None:
    made = []
    for number, members in enumerate([[("b", b"1"), ("a", b"2")], [("a", b"2"), ("./b", b"1")]]):
        folder = tmp_path / str(number)
        folder.mkdir()
        entries = step_entries(layer(folder, *members, mtime=number), {})
        made.append(b"".join(Tar.of(entries).chunks()))
    assert made[0] == made[1]


def test_owners_and_modes_stay(tmp_path: Path) -> None:
    (entry,) = step_entries(layer(tmp_path, ("a", b"1")), {})
    assert (entry.mode, entry.uid, b"".join(entry.chunks())) == (0o640, 7, b"1")


@pytest.mark.parametrize("capability", [bytes.fromhex("0100000200040000") + bytes(12), b"\xff\n=\0"])
def test_what_setcap_gave_stays_and_other_attributes_do_not(tmp_path: Path, capability: bytes) -> None:
    """Turned around, too: the first name of a file has what its other name had in the engine's layer."""
    file = tmp_path / "layer.tar"
    info, link = tarfile.TarInfo("z"), tarfile.TarInfo("a")
    info.pax_headers = {
        "SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.user.note": "of the host",
    }
    link.type, link.linkname = tarfile.LNKTYPE, "z"
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
        tar.addfile(link)
    made = b"".join(Tar.of(step_entries(file, {})).chunks())
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        found = {one.name: one for one in tar}
    assert (found["a"].type, found["z"].type) == (tarfile.REGTYPE, tarfile.LNKTYPE)
    assert found["a"].pax_headers == {
        "SCHILY.xattr.security.capability": info.pax_headers["SCHILY.xattr.security.capability"]
    }
    assert found["z"].pax_headers == {}


def test_what_an_engine_puts_into_each_container_is_left_out(tmp_path: Path) -> None:
    """As Podman 5.8 has it in the layer of a container that it commits; `etc/mtab` is a link there."""
    names = ("etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "run/.containerenv", ".dockerenv")
    file = layer(tmp_path, *((name, b"") for name in names), ("etc/hosts.allow", b"x"))
    assert paths(step_entries(file, {})) == ["etc/hosts.allow"]


def test_what_only_the_steps_saw_is_left_out(tmp_path: Path) -> None:
    given = {"home/script": Digest.of(b"#!"), "home/kept": Digest.of(b"old"), "home/gone": Digest.of(b"")}
    file = layer(
        tmp_path, ("run/bentoml/ca.crt", b"ca"), ("run/bentoml", b""), ("run/.wh.bentoml", b""), ("home/script", b"#!"),
        ("home/kept", b"new"), ("home/.wh.gone", b""), ("etc/.wh.motd", b""), ("var/cache/ldconfig/aux-cache", b"1"),
    )  # fmt: skip
    assert paths(step_entries(file, given)) == ["etc/.wh.motd", "home/kept"]


def test_bytecode_that_knows_its_source_by_its_time_is_left_out(tmp_path: Path) -> None:
    timed, hashed = (b"\x00\x00\x0d\x0d" + struct.pack("<I", flags) + bytes(8) for flags in (0, 1))
    file = layer(tmp_path, ("__pycache__/a.pyc", timed), ("__pycache__/b.pyc", hashed), ("c.py", b""))
    assert paths(step_entries(file, {})) == ["__pycache__/b.pyc", "c.py"]


def test_a_hard_link_comes_after_its_file(tmp_path: Path) -> None:
    file = tmp_path / "layer.tar"
    with tarfile.open(file, "w") as tar:
        info = tarfile.TarInfo("z")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"1"))
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.LNKTYPE, "z"
        tar.addfile(link)
    kinds = {entry.path: entry.kind for entry in step_entries(file, {})}
    assert kinds == {"a": "file", "z": "hardlink"}


def test_a_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match="device `/dev/gpu0`"):
        step_entries(layer(tmp_path, ("dev/gpu0", ""), kind=tarfile.CHRTYPE), {})


def test_a_secret_that_stays_behind_is_refused(tmp_path: Path) -> None:
    file = layer(tmp_path, ("etc/a", b"1"), ("root/.netrc", b"password canary-123\n"))
    check_secrets(file, {"OTHER": "another-value", "SHORT": "1"})
    with pytest.raises(BentoMLException, match=r"`TOKEN` in `/root/\.netrc`") as caught:
        check_secrets(file, {"TOKEN": "canary-123"})
    assert "canary-123" not in str(caught.value)


def test_a_secret_in_the_name_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match="build secret `TOKEN`") as caught:
        check_secrets(layer(tmp_path, ("etc/canary-123", b"1")), {"TOKEN": "canary-123"})
    assert "canary-123" not in str(caught.value)
