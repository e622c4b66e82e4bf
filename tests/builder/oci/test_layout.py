"""Layouts: what is written is read back, is added to, and hostile ones are refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PosixPath
from typing import Self

import pytest
from tests.builder.oci.images import Pieces, content, small_image

from bentoml.builder.oci.layout import open_layout, write_layout
from bentoml.builder.oci.model import Base, Image, Platform
from bentoml.exceptions import BentoMLException, NotFound

IMAGE = small_image("one")
OTHER = small_image("two")
AMD64 = Platform()


def same(base: Base, image: Image) -> bool:
    layers = [b"".join(layer.blob.chunks()) for layer in base.layers]
    return base.digest == image.manifest_descriptor.digest and layers == content(image)


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return each file with its inode and time: what was written again has others."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_layout(tmp_path / "new", IMAGE, ["app:1", "reg.example/team/app:2"])
    for tag in (None, "1", "2", "docker.io/library/app:1", "reg.example/team/app:2"):
        assert same(open_layout(tmp_path / "new", tag, platform=AMD64), IMAGE)
    with pytest.raises(NotFound, match="says no image; name one of its tags: 1, 2"):
        open_layout(tmp_path / "new", "3", platform=AMD64)


def test_every_blob_has_the_name_of_its_digest(tmp_path: Path) -> None:
    write_layout(tmp_path, IMAGE, ["app:1"])
    blobs = list((tmp_path / "blobs" / "sha256").iterdir())
    assert len(blobs) == len(IMAGE.layers) + 2
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name for blob in blobs)
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_a_second_image_is_added_and_shared_blobs_are_not_written_again(tmp_path: Path) -> None:
    write_layout(tmp_path, IMAGE, ["app:1"])
    before = files(tmp_path)
    write_layout(tmp_path, OTHER, ["app:2"])
    after = files(tmp_path)
    assert all(after[path] == stat for path, stat in before.items() if path.startswith("blobs"))
    assert same(open_layout(tmp_path, "1", platform=AMD64), IMAGE)
    assert same(open_layout(tmp_path, "2", platform=AMD64), OTHER)
    with pytest.raises(NotFound, match="more than one image"):
        open_layout(tmp_path, None, platform=AMD64)


def test_images_that_are_added_at_the_same_time_all_have_their_names(tmp_path: Path) -> None:
    layout, images = tmp_path / "layout", [small_image(str(number)) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write_layout(layout, images[n], [f"app:{n}"]), range(16)))
    for number, image in enumerate(images):
        assert open_layout(layout, str(number), platform=Platform()).digest == image.root.digest


class Shared(PosixPath):
    """A folder into which somebody else writes a layout just before it is looked at."""

    def iterdir(self) -> Iterator[Self]:  # type: ignore[override]  # of what Python, that is another type in each release
        if not (self / "index.json").exists():
            write_layout(Path(self), OTHER, ["app:2"])
        yield from super().iterdir()


def test_a_layout_that_somebody_else_has_just_made_is_one(tmp_path: Path) -> None:
    (tmp_path / "layout" / "blobs").mkdir(parents=True)
    write_layout(Shared(tmp_path, "layout"), IMAGE, ["app:1"])
    assert same(open_layout(tmp_path / "layout", "1", platform=AMD64), IMAGE)
    assert same(open_layout(tmp_path / "layout", "2", platform=AMD64), OTHER)


def test_a_name_moves_and_unnamed_images_replace_one_another(tmp_path: Path) -> None:
    write_layout(tmp_path / "named", IMAGE, ["app:1"])
    write_layout(tmp_path / "named", OTHER, ["app:1"])
    assert same(open_layout(tmp_path / "named", "1", platform=AMD64), OTHER)
    write_layout(tmp_path / "plain", IMAGE, [])
    write_layout(tmp_path / "plain", OTHER, [])
    assert same(open_layout(tmp_path / "plain", None, platform=AMD64), OTHER)


def test_the_same_image_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_layout(tmp_path / name, small_image("one"), ["app:1"])
    contents = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("a", "b")
    ]
    assert contents[0] == contents[1]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(BentoMLException, match="is not an OCI layout"):
        write_layout(tmp_path, IMAGE, ["app:1"])
    with pytest.raises(BentoMLException, match="is not an OCI layout"):
        write_layout(tmp_path / "precious", IMAGE, ["app:1"])
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    with pytest.raises(NotFound, match="is not an OCI layout"):
        open_layout(tmp_path, None, platform=AMD64)


def test_an_attempt_that_was_cut_short_is_taken_up(tmp_path: Path) -> None:
    write_layout(tmp_path, IMAGE, ["app:1"])
    for name in ("index.json", "oci-layout"):
        (tmp_path / "index.json").unlink()
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / f".{name}.0123456789ab").write_text("half")
        write_layout(tmp_path, IMAGE, ["app:1"])
        assert same(open_layout(tmp_path, "1", platform=AMD64), IMAGE)


def test_a_layer_that_changed_since_leaves_no_image_and_can_be_tried_again(tmp_path: Path) -> None:
    top = IMAGE.layers[-1]
    data = b"".join(top.blob.chunks())
    broken = IMAGE._replace(layers=(*IMAGE.layers[:-1], top._replace(blob=Pieces((data[:-1], b"X")))))
    with pytest.raises(BentoMLException, match="no longer those of"):
        write_layout(tmp_path, broken, ["app:1"])
    assert not (tmp_path / "index.json").exists()
    assert all(
        hashlib.sha256(p.read_bytes()).hexdigest() == p.name for p in (tmp_path / "blobs/sha256").iterdir()
    )
    write_layout(tmp_path, IMAGE, ["app:1"])
    assert same(open_layout(tmp_path, "1", platform=AMD64), IMAGE)


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    write_layout(tmp_path / "layout", IMAGE, ["app:1"])
    return tmp_path / "layout"


def test_a_damaged_layer_is_noticed_when_it_is_read(layout: Path) -> None:
    blob = layout / "blobs" / "sha256" / IMAGE.layers[0].descriptor.digest.hex
    blob.write_bytes(blob.read_bytes()[:-1] + b"X")
    base = open_layout(layout, None, platform=AMD64)
    with pytest.raises(BentoMLException, match="is damaged"):
        b"".join(base.layers[0].blob.chunks())
    blob.unlink()
    with pytest.raises(BentoMLException, match="cannot read"):
        b"".join(base.layers[0].blob.chunks())


@pytest.mark.parametrize("which", ["manifest", "config"])
@pytest.mark.parametrize("change", ["wrong", "gone", "huge"])
def test_a_damaged_document_is_refused(layout: Path, which: str, change: str) -> None:
    digest = (IMAGE.manifest_descriptor if which == "manifest" else IMAGE.config_descriptor).digest
    blob = layout / "blobs" / "sha256" / digest.hex
    if change == "gone":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes() + b" " * (1 if change == "wrong" else 5 << 20))
    with pytest.raises(BentoMLException, match=r"has the digest|lacks the blob"):
        open_layout(layout, None, platform=AMD64)


@pytest.mark.parametrize(
    "index",
    [
        "{",
        "[]",
        "{}",
        '{"manifests": [1]}',
        '{"manifests": [{"digest": "sha256:../../../../etc/passwd", "size": 1, "mediaType": "x"}]}',
        '{"manifests": [{"digest": "sha512:00", "size": 1, "mediaType": "x"}]}',
        '{"manifests": [{"size": 1}]}',
    ],
    ids=["json", "list", "empty", "number", "path", "algorithm", "no-digest"],
)
def test_a_hostile_index_is_refused(layout: Path, index: str) -> None:
    (layout / "index.json").write_text(index)
    with pytest.raises(BentoMLException, match=r"damaged|is not a descriptor"):
        open_layout(layout, None, platform=AMD64)


def test_another_platform_is_not_found(layout: Path) -> None:
    with pytest.raises(NotFound, match="is for `linux/amd64`, not for `linux/arm64`"):
        open_layout(layout, None, platform=Platform("linux", "arm64"))
