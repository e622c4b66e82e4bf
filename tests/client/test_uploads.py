"""What may be given for a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from bentoml.client.uploads import Link, Upload, upload
from bentoml.exceptions import InvalidArgument


@pytest.mark.parametrize("as_text", [False, True], ids=["path", "text"])
def test_a_local_file(tmp_path: Path, as_text: bool) -> None:
    file = tmp_path / "a b.txt"
    file.write_bytes(b"x")
    assert upload("file", str(file) if as_text else file, {}) == Upload(file, "a b.txt", "text/plain")


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=f"`file`: there is no file `{tmp_path / 'none'}`"):
        upload("file", tmp_path / "none", {})


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x")], ids=lambda d: type(d).__name__)
def test_bytes(data: Any) -> None:
    assert upload("file", data, {}) == Upload(b"x", "file", "application/octet-stream")


@pytest.mark.parametrize(
    ("name", "declared", "sent"),
    [
        ("a.wav", "audio/wav", "audio/wav"),  # the table says audio/x-wav
        ("a.MP3", "audio/mp3", "audio/mp3"),  # ... and audio/mpeg
        ("a.txt", "text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("a.unknown", "audio/wav", "audio/wav"),
        ("a.png", "audio/wav", "image/png"),
        ("a.wav", "audio/mp3", "audio/x-wav"),
    ],
)
def test_a_file_is_not_passed_off_as_what_is_declared(
    tmp_path: Path, name: str, declared: str, sent: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    found = upload("file", tmp_path / name, {"content_type": declared})
    assert isinstance(found, Upload) and found.media_type == sent


def test_the_declared_media_type_is_that_of_what_has_no_name() -> None:
    declared = upload("file", b"x", {"content_type": "audio/mp3"})
    assert isinstance(declared, Upload) and declared.media_type == "audio/mp3"


@pytest.mark.parametrize("value", [b"x", io.BytesIO(b"x")], ids=["bytes", "open file"])
def test_no_media_type_is_said_where_only_a_pattern_is_known(value: Any) -> None:
    """The server would refuse a wrong one, though the file may well be what it takes."""
    sent = upload("file", value, {"content_type": "audio/*"})
    assert isinstance(sent, Upload) and sent.media_type is None


def test_a_name_says_more_than_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    sent = upload("file", tmp_path / "a.txt", {"content_type": "audio/*"})
    assert isinstance(sent, Upload) and sent.media_type == "text/plain"


def test_open_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1,2")
    with (tmp_path / "a.csv").open("rb") as file:
        assert upload("file", file, {}) == Upload(file, "a.csv", "text/csv")
    buffer = io.BytesIO(b"x")
    assert upload("file", buffer, {}) == Upload(buffer, "file", "application/octet-stream")


def test_a_file_open_as_text() -> None:
    with pytest.raises(TypeError, match="open it in binary mode"):
        upload("file", io.StringIO("x"), {})


def test_anything_else() -> None:
    with pytest.raises(TypeError, match=r"`file` is a file: give a path, .* not `int`"):
        upload("file", 3, {})


def test_a_new_image_is_encoded() -> None:
    sent = upload("image", PIL.Image.new("RGB", (3, 2), "red"), {})
    assert isinstance(sent, Upload) and isinstance(sent.content, bytes)
    assert (sent.filename, sent.media_type) == ("image.png", "image/png")
    assert PIL.Image.open(io.BytesIO(sent.content)).size == (3, 2)


def test_an_untouched_image_is_the_file_that_it_came_from(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(tmp_path / "a.jpg", quality=10)
    with PIL.Image.open(tmp_path / "a.jpg") as image:
        sent = upload("image", image, {})
        assert isinstance(sent, Upload) and not isinstance(sent.content, bytes | Path | Link)
        assert (sent.filename, sent.media_type) == ("a.jpg", "image/jpeg")
        sent.content.seek(0)
        assert sent.content.read() == (tmp_path / "a.jpg").read_bytes()


def test_a_changed_image_is_not_the_file_that_it_came_from(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (2, 2), "red").save(tmp_path / "a.png")
    image = PIL.Image.open(tmp_path / "a.png")
    image.putpixel((0, 0), (0, 0, 255))
    sent = upload("image", image, {})
    assert isinstance(sent, Upload) and isinstance(sent.content, bytes)
    assert PIL.Image.open(io.BytesIO(sent.content)).getpixel((0, 0)) == (0, 0, 255)


def test_a_loaded_image_loses_nothing(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(tmp_path / "a.jpg")
    with PIL.Image.open(tmp_path / "a.jpg") as image:
        pixels = np.asarray(image)
        sent = upload("image", image, {})
    assert isinstance(sent, Upload) and isinstance(sent.content, bytes)
    assert (sent.filename, sent.media_type) == ("image.png", "image/png")
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(sent.content))), pixels)


def test_an_image_that_png_cannot_hold_keeps_its_format(tmp_path: Path) -> None:
    PIL.Image.new("CMYK", (2, 2)).save(tmp_path / "a.jpg")
    with PIL.Image.open(tmp_path / "a.jpg") as image:
        image.load()
        sent = upload("image", image, {})
    assert isinstance(sent, Upload)
    assert (sent.filename, sent.media_type) == ("image.jpeg", "image/jpeg")


@pytest.mark.parametrize("mode", ["HSV", "YCbCr"])
def test_an_image_that_cannot_be_encoded(mode: str) -> None:
    with pytest.raises(InvalidArgument, match="`image`: this image cannot be encoded"):
        upload("image", PIL.Image.new(mode, (1, 1)), {})


@pytest.mark.parametrize("mode", ["CMYK", "F", "LAB"])
def test_a_new_image_that_png_cannot_hold(mode: str) -> None:
    sent = upload("image", PIL.Image.new(mode, (2, 1)), {})
    assert isinstance(sent, Upload) and isinstance(sent.content, bytes)
    assert (sent.filename, sent.media_type) == ("image.tiff", "image/tiff")
    assert PIL.Image.open(io.BytesIO(sent.content)).mode == mode
