"""One image for several platforms: each finds its own in every place that takes an index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.builder.oci.images import content, small_image

from bentoml.builder.backends.select import open_sink
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.layout import image_parts
from bentoml.builder.oci.model import ImageIndex, Platform
from bentoml.exceptions import InvalidArgument, NotFound
from bentoml.process import run
from bentoml.store.digest import Digest

AMD64, ARM64 = small_image("amd"), small_image("arm", architecture="arm64")
INDEX = ImageIndex((AMD64, ARM64))
PLATFORMS = {"amd64": AMD64, "arm64": ARM64}


def test_the_index_names_each_image_with_its_platform() -> None:
    document = json.loads(INDEX.document)
    assert [(e["digest"], e["platform"]) for e in document["manifests"]] == [
        (str(image.root.digest), {"os": "linux", "architecture": name}) for name, image in PLATFORMS.items()
    ]
    assert INDEX.root.digest == Digest.of(INDEX.document)
    assert ImageIndex((small_image("amd"), small_image("arm", architecture="arm64"))).root == INDEX.root


def test_what_two_images_share_comes_once_and_the_index_last() -> None:
    digests = [descriptor.digest for descriptor, _ in image_parts(INDEX)]
    assert len(digests) == len(set(digests))
    assert digests[-1] == INDEX.root.digest
    assert AMD64.layers[0].descriptor.digest == ARM64.layers[0].descriptor.digest


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_each_platform_finds_its_image(tmp_path: Path, kind: str) -> None:
    said = open_sink(f"type={kind},dest={tmp_path / 'place'}", env={}).write(INDEX, ["app:1"])
    assert str(INDEX.root.digest) in said
    for name, image in PLATFORMS.items():
        base = open_base(
            f"{kind}:{tmp_path / 'place'}:1", platform=Platform("linux", name), cache=tmp_path, env={}
        )
        assert base.digest == image.manifest_descriptor.digest
        assert [b"".join(layer.blob.chunks()) for layer in base.layers] == content(image)
    with pytest.raises(NotFound, match="no image for `linux/s390x`; it has linux/amd64, linux/arm64"):
        open_base(
            f"{kind}:{tmp_path / 'place'}:1", platform=Platform("linux", "s390x"), cache=tmp_path, env={}
        )


@pytest.mark.parametrize("output", ["type=docker", "type=docker-archive,dest=image.tar"])
def test_a_place_for_one_platform_refuses_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument, match="one platform"):
        open_sink(output, env={}).write(INDEX, ["app:1"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.engine
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_skopeo_takes_each_platform_and_all_of_them(tmp_path: Path, kind: str) -> None:
    open_sink(f"type={kind},dest={tmp_path / 'ours'}", env={}).write(INDEX, ["app:1"])
    place = f"{kind}:{tmp_path / 'ours'}:1"
    assert run(["skopeo", "inspect", "--raw", place]).encode() == INDEX.document
    for name, image in PLATFORMS.items():
        seen = json.loads(run(["skopeo", f"--override-arch={name}", "inspect", "--config", "--raw", place]))
        assert seen == json.loads(image.config)
    run(["skopeo", "copy", "--insecure-policy", "--all", place, f"oci:{tmp_path}/theirs:1"])
    assert run(["skopeo", "inspect", "--raw", f"oci:{tmp_path}/theirs:1"]).encode() == INDEX.document
