"""A Python that uv brings, upon a base that has none."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from tests.builder.handmade import LIBC, layer, members

from bentoml.builder.oci.bases.rootfs import read_rootfs
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.model import Base, Platform
from bentoml.builder.oci.parts.managed_python import with_python
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.tar import TarEntry

FILES = {
    "bin/python3.11": b"#!/bin/sh\n",
    "lib/python3.11/os.py": b"x = 1\n",
    "lib/python3.11/__pycache__/os.cpython-311.pyc": b"\0" * 16,
    "lib/python3.11/_sysconfigdata__linux_x86_64-linux-gnu.py": b"# system configuration generated and used by the sysconfig module\nbuild_time_vars = {'prefix': '/install', 'LIBDIR': '/install/lib'}\n",
}
PLACE = "app/python/cpython-3.11.9-linux-x86_64-gnu"


def bare(architecture: str = "amd64") -> Base:
    libc = TarEntry.file("usr/lib64/libc.so.6", LIBC)
    return Base("amazonlinux:2", None, {}, (layer([libc]),), Platform("linux", architecture))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Have uv find one Python, in a file."""
    archive = tmp_path / "python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in FILES.items():
            info = tarfile.TarInfo(f"python/{name}")
            info.size, info.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(info, io.BytesIO(content))
    machine = {"family": "x86_64", "variant": None}
    known = {
        "name": "cpython", "arch": machine, "os": "linux", "libc": "gnu", "major": 3, "minor": 11, "patch": 9, "prerelease": "",
        "url": archive.as_uri(), "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(), "variant": None, "build": "20240814",
    }  # fmt: skip
    (tmp_path / "known.json").write_text(json.dumps({"cpython-3.11.9-linux-x86_64-gnu": known}))
    return {
        "HOME": str(tmp_path),
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(tmp_path / "known.json"),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }


def test_it_is_found_on_the_path(tmp_path: Path, env: dict[str, str]) -> None:
    cache = Cache(tmp_path / "cache")
    made = with_python(bare(), "3.11", cache=cache, env=env, epoch=7)
    assert read_rootfs(made, cache).python("3.11", "/usr/local/bin:/usr/bin") == "/usr/local/bin/python3.11"
    found = members(made.layers[-1])
    assert found["usr/local/bin/python3.11"].text == f"/{PLACE}/bin/python3.11"
    assert found[f"{PLACE}/bin/python3.11"].mode == 0o755
    assert {member.mtime for member in found.values()} == {7}
    assert not [path for path in found if path.endswith((".pyc", ".lock"))]
    assert "app" not in found, "it may be there already"


def test_it_is_the_same_wherever_it_was_made(tmp_path: Path, env: dict[str, str]) -> None:
    made = [
        with_python(bare(), "3.11", cache=Cache(tmp_path / name), env=env, epoch=0) for name in ("a", "b/c")
    ]
    assert made[0].layers[-1].diff_id == made[1].layers[-1].diff_id
    for member in members(made[0].layers[-1]).values():
        assert str(tmp_path) not in member.text


def test_it_is_fetched_once(tmp_path: Path, env: dict[str, str]) -> None:
    cache = Cache(tmp_path / "cache")
    first = with_python(bare(), "3.11", cache=cache, env=env, epoch=0)
    again = with_python(bare(), "3.11", cache=cache, env={}, epoch=0, offline=True)
    assert again.layers[-1].descriptor == first.layers[-1].descriptor


def test_what_cannot_be_fetched(tmp_path: Path, env: dict[str, str]) -> None:
    with pytest.raises(
        BentoMLException, match=r"`cpython-3\.12-linux-x86_64-gnu` could not be fetched.*--base-image"
    ):
        with_python(bare(), "3.12", cache=Cache(tmp_path / "cache"), env=env, epoch=0)
    with pytest.raises(BentoMLException, match="no Python for `linux/s390x`"):
        with_python(bare("s390x"), "3.11", cache=Cache(tmp_path / "cache"), env=env, epoch=0)
