"""Archives: what is written is read back, in both forms; what `docker save` writes is read, too."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from tests.builder.oci.images import content, small_image, zstd_image

from bentoml.builder.oci.archive import (
    docker_archive,
    docker_layers,
    has_zstd,
    oci_archive,
    open_docker_archive,
    open_oci_archive,
    without_zstd,
)
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.model import Base, Image, Platform
from bentoml.exceptions import BentoMLException, NotFound

IMAGE = small_image("one", "two")
AMD64 = Platform()


def plain(layers: list[bytes]) -> list[bytes]:
    return [b"".join(decompressed([layer])) for layer in layers]


def layer_bytes(base: Base) -> list[bytes]:
    return [b"".join(layer.blob.chunks()) for layer in base.layers]


def written(path: Path, chunks: object) -> Path:
    path.write_bytes(b"".join(chunks))  # type: ignore[arg-type]  # chunks of a tar
    return path


def opened(file: Path, tag: str | None = None, platform: Platform = AMD64) -> Base:
    cache = Cache(file.parent / "cache")
    return open_docker_archive(file, tag, name=f"docker-archive:{file}", platform=platform, cache=cache)[0]


def test_an_oci_archive_is_read_back(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tar", oci_archive(IMAGE, ["app:1"]).chunks())
    base = open_oci_archive(file, "1", platform=AMD64)
    assert base.digest == IMAGE.manifest_descriptor.digest
    assert layer_bytes(base) == content(IMAGE)
    with pytest.raises(NotFound, match="says no image"):
        open_oci_archive(file, "2", platform=AMD64)


def test_a_docker_archive_is_read_back_and_is_an_oci_archive_too(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tar", docker_archive(IMAGE, ["app:1", "reg.example/team/app:2"]).chunks())
    for tag in (None, "app:1", "docker.io/library/app:1", "reg.example/team/app:2"):
        base = opened(file, tag)
        assert [layer.diff_id for layer in base.layers] == [layer.diff_id for layer in IMAGE.layers]
        assert plain(layer_bytes(base)) == plain(content(IMAGE))
    assert open_oci_archive(file, "2", platform=AMD64).digest == IMAGE.manifest_descriptor.digest
    with pytest.raises(NotFound, match=r"it has app:1, reg\.example/team/app:2"):
        opened(file, "app:3")
    with pytest.raises(NotFound, match="not for `linux/arm64`"):
        opened(file, platform=Platform("linux", "arm64"))


def test_archives_do_not_depend_on_when_they_are_written() -> None:
    assert b"".join(docker_archive(IMAGE, ["a:1"]).chunks()) == b"".join(
        docker_archive(IMAGE, ["a:1"]).chunks()
    )


def test_an_image_without_zstd_is_the_same_image(tmp_path: Path) -> None:
    image = zstd_image()
    plain = without_zstd(image)
    assert (has_zstd(image), has_zstd(plain)) == (True, False)
    assert plain.config_descriptor == image.config_descriptor
    assert plain.layers[0].descriptor.digest == image.layers[0].diff_id
    assert plain.layers[1] == image.layers[1]
    assert without_zstd(image, [image.layers[0].diff_id]) == image, "nobody reads it"
    file = tmp_path / "image.tar"
    file.write_bytes(b"".join(docker_archive(plain, ["app:1"]).chunks()))
    assert [b"".join(blob.chunks()) for blob in docker_layers(file)] == [
        b"".join(decompressed([data])) for data in content(image)
    ]


def test_layers_can_be_left_out_for_an_engine_that_has_them() -> None:
    first = IMAGE.layers[0]
    data = b"".join(docker_archive(IMAGE, ["app:1"], without={first.diff_id}).chunks())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]  # it is a file
    assert f"blobs/sha256/{first.descriptor.digest.hex}" not in names
    assert len(manifest[0]["Layers"]) == len(IMAGE.layers)
    assert len(data) < 70_000


def saved(path: Path, image: Image, *, damage: bool = False, tags: list[str] | None = None) -> Path:
    """Write an archive as `docker save` of Docker 20 does: plain layers, and a link where one stands twice."""
    layers = plain(content(image))
    if damage:
        layers[0] = layers[0][:600] + b"X" + layers[0][601:]
    document = {
        "Config": f"{image.config_descriptor.digest.hex}.json",
        "RepoTags": tags,
        "Layers": [f"id{number}/layer.tar" for number in range(len(layers))],
    }
    with tarfile.open(path, "w") as archive:
        entries = [("manifest.json", json.dumps([document]).encode()), (document["Config"], image.config)]
        for number, layer in enumerate(layers):
            if layer in layers[:number]:
                link = tarfile.TarInfo(f"id{number}/layer.tar")
                link.type, link.linkname = tarfile.SYMTYPE, f"../id{layers.index(layer)}/layer.tar"
                archive.addfile(link)
            else:
                entries.append((f"id{number}/layer.tar", layer))
        for name, data in entries:
            info = tarfile.TarInfo(str(name))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_what_docker_saves_is_read_and_the_file_is_not_needed_again(tmp_path: Path) -> None:
    image = small_image("same", "other", "same")
    file = saved(tmp_path / "saved.tar", image)
    base = opened(file)
    file.unlink()
    assert base.digest is None
    assert plain(layer_bytes(base)) == plain(content(image))
    assert all(
        hashlib.sha256(data).hexdigest() == layer.descriptor.digest.hex
        for data, layer in zip(layer_bytes(base), base.layers, strict=True)
    )


@pytest.mark.parametrize("tag", ["app:1", "docker.io/library/app:1", "library/app:1"])
def test_names_with_the_host_that_docker_leaves_out_are_found(tmp_path: Path, tag: str) -> None:
    """skopeo writes them in full."""
    file = saved(tmp_path / "saved.tar", IMAGE, tags=["docker.io/library/app:1"])
    assert plain(layer_bytes(opened(file, tag))) == plain(content(IMAGE))
    with pytest.raises(NotFound, match=r"it has docker\.io/library/app:1"):
        opened(file, "app:2")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.tar` cannot be read: No such file"):
        opened(tmp_path / "gone.tar")


def test_a_layer_with_another_diff_id_is_refused_and_not_kept(tmp_path: Path) -> None:
    saved(tmp_path / "saved.tar", IMAGE, damage=True)
    with pytest.raises(BentoMLException, match="is damaged"):
        opened(tmp_path / "saved.tar")
    saved(tmp_path / "saved.tar", IMAGE)
    assert plain(layer_bytes(opened(tmp_path / "saved.tar"))) == plain(content(IMAGE))


@pytest.mark.parametrize("data", [b"", b"no tar" * 1000, bytes(10240)], ids=["empty", "noise", "no-members"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(BentoMLException, match=r"is not an image archive|lacks"):
        opened(tmp_path / "a.tar")
    with pytest.raises(BentoMLException, match=r"is not an image archive|lacks"):
        open_oci_archive(tmp_path / "a.tar", None, platform=AMD64)


@pytest.mark.parametrize(
    "document",
    [b"{", b"[]", b"3", b'[{"Config": "../../etc/passwd", "Layers": []}]', b'[{"Config": "c", "Layers": ["/etc/shadow"]}]'],
    ids=["json", "empty", "number", "path", "absolute"],
)  # fmt: skip
def test_hostile_archives_are_refused(tmp_path: Path, document: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, data in (("manifest.json", document), ("c", IMAGE.config)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    with pytest.raises(BentoMLException, match=r"damaged|does not say which|lacks|does not have the layers"):
        opened(tmp_path / "a.tar")
