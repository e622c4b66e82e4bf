"""What others say of our images: skopeo, umoci and a real registry, all from the distribution."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builder.oci.images import content, noise
from tests.registry.real import real_registry

from bentoml.builder.backends.select import open_sink
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.codec import gzip_codec, layer_of, stored_codec
from bentoml.builder.oci.model import Image, Platform
from bentoml.process import run
from bentoml.store.archives.tar import Tar, TarEntry
from bentoml.store.digest import canonical_json

pytestmark = pytest.mark.engine

LONG = "deep/" * 30 + "file"


def image() -> Image:
    """Return an image with an entry of every kind."""
    entries = [
        TarEntry.folder("app", mode=0o750, uid=1034, gid=1034),
        TarEntry.file("app/run", b"#!/bin/sh\n", mode=0o755),
        TarEntry("app/same", "hardlink", 0o755, link="app/run"),
        TarEntry.symlink("app/link", "run"),
        TarEntry.file(f"app/{LONG}", b"deep"),
        TarEntry.file("app/ümläut 名", b"name"),
    ]
    weights = layer_of(Tar.of([TarEntry.file("weights", noise(500_000))]), stored_codec(), "model")
    layers = (weights, layer_of(Tar.of(entries), gzip_codec(), "source"))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": ["/app/run"]},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "test"} for _ in layers],
    }
    return Image(canonical_json(config), layers, Platform())


IMAGE = image()


@pytest.mark.parametrize(
    ("output", "seen_as"),
    [("oci", "oci:{}:1"), ("oci-archive", "oci-archive:{}:1"), ("docker-archive", "docker-archive:{}:app:1")],
)
def test_skopeo_reads_what_we_write(tmp_path: Path, output: str, seen_as: str) -> None:
    place = tmp_path / "place"
    open_sink(f"type={output},dest={place}", env={}).write(IMAGE, ["app:1"])
    seen = json.loads(run(["skopeo", "inspect", seen_as.format(place)]))
    config = run(["skopeo", "inspect", "--config", "--raw", seen_as.format(place)])
    assert config.encode() == IMAGE.config
    assert len(seen["Layers"]) == len(IMAGE.layers)
    if output != "docker-archive":  # of which skopeo makes a manifest of its own
        assert seen["Digest"] == str(IMAGE.manifest_descriptor.digest)


def test_skopeo_keeps_our_digest_when_it_copies(tmp_path: Path) -> None:
    open_sink(f"type=oci,dest={tmp_path / 'ours'}", env={}).write(IMAGE, ["app:1"])
    run(["skopeo", "copy", "--insecure-policy", f"oci:{tmp_path}/ours:1", f"oci:{tmp_path}/theirs:2"])
    base = open_base(f"oci:{tmp_path}/theirs:2", platform=Platform(), cache=tmp_path / "cache", env={})
    assert base.digest == IMAGE.manifest_descriptor.digest
    assert [b"".join(layer.blob.chunks()) for layer in base.layers] == content(IMAGE)


def test_umoci_unpacks_every_kind_of_entry(tmp_path: Path) -> None:
    open_sink(f"type=oci,dest={tmp_path / 'ours'}", env={}).write(IMAGE, ["app:1"])
    run(["umoci", "unpack", "--rootless", "--image", f"{tmp_path}/ours:1", f"{tmp_path}/bundle"])
    app = tmp_path / "bundle" / "rootfs" / "app"
    assert (tmp_path / "bundle" / "rootfs" / "weights").read_bytes() == noise(500_000)
    assert app.stat().st_mode & 0o777 == 0o750
    assert (app / "same").samefile(app / "run") and (app / "run").stat().st_mode & 0o777 == 0o755
    assert os.readlink(app / "link") == "run"
    assert (app / LONG).read_bytes() == b"deep" and (app / "ümläut 名").read_bytes() == b"name"
    assert (app / "run").stat().st_mtime == 0


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with real_registry(tmp_path) as host:
        yield host


def test_a_real_registry_gives_back_what_skopeo_pushed(tmp_path: Path, registry: str) -> None:
    open_sink(f"type=oci,dest={tmp_path / 'ours'}", env={}).write(IMAGE, ["app:1"])
    target = f"docker://{registry}/team/app:1"
    run(["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", f"oci:{tmp_path}/ours:1", target])
    for reference in (f"{registry}/team/app:1", f"{registry}/team/app@{IMAGE.manifest_descriptor.digest}"):
        base = open_base(reference, platform=Platform(), cache=tmp_path / "cache", env={})
        assert base.digest == IMAGE.manifest_descriptor.digest
        assert [b"".join(layer.blob.chunks()) for layer in base.layers] == content(IMAGE)
