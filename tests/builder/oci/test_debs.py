"""The base made of Debian packages: how it is named, kept, pinned and, with the real apt, made."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import pytest

from bentoml.builder.oci.bases import open_base
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.debs import open_debs
from bentoml.builder.oci.model import Platform
from bentoml.exceptions import InvalidArgument, NotFound

AMD64 = Platform()


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
