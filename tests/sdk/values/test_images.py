"""Uploaded images: decoded in full, by the format that the client names, never by one that runs programs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from bentoml.sdk.values.adapter import adapt
from bentoml.sdk.values.files import ContentType, Part, safe_name
from bentoml.sdk.values.images import PILImageEncoder, encode_image


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 3), "red").save(buffer, kind)
    return buffer.getvalue()


def decode(part: Any, annotation: Any = Image.Image) -> Any:
    return TypeAdapter(adapt(annotation)).validate_python(part)


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [("image/png", "PNG"), ("image/jpeg", "JPEG"), ("image/jpg", "JPEG"), ("application/octet-stream", "BMP"), (None, "GIF")],
)  # fmt: skip
def test_images(media_type: str | None, kind: str, tmp_path: Path) -> None:
    image = decode(Part("i", "i", media_type, encoded(kind)))
    assert (image.size, image.format) == ((2, 3), kind)
    path = tmp_path / "i"
    path.write_bytes(encoded(kind))
    assert decode(Part("i", "i", media_type, None, path)).size == (2, 3)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        pytest.param(Part("i", "i", "image/png", b"junk"), "the image cannot be read", id="junk"),
        pytest.param(Part("i", "i", "image/png", encoded("JPEG")), "the image cannot be read", id="other format"),
        pytest.param(Part("i", "i", "image/png", encoded("PNG")[:-30]), "the image cannot be read", id="cut off"),
        pytest.param(Part("i", "i", None, b""), "the image cannot be read", id="empty"),
        pytest.param(Part("i", "i", "image/x-unknown", encoded("PNG")), "images of type image/x-unknown", id="unknown type"),
        pytest.param(Part("i", "i", None, EPS), "the image cannot be read", id="a program"),
        pytest.param(Part("i", None, None, b"/etc/x.png"), "Invalid file type", id="path"),
        pytest.param("http://127.0.0.1/x.png", "Invalid file type", id="URL"),
    ],
)  # fmt: skip
def test_a_bad_image_is_the_callers_mistake(part: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        decode(part)


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    with pytest.raises(ValidationError, match="the image cannot be read: DecompressionBombError"):
        decode(Part("i", "i", "image/png", encoded("PNG")))


def test_lists_and_markers() -> None:
    parts = [Part("i", "i", "image/png", encoded("PNG"))] * 2
    assert [i.size for i in decode(parts, list[Image.Image])] == [(2, 3), (2, 3)]
    assert decode(None, Image.Image | None) is None
    for marker in (PILImageEncoder(content_type="image/jpeg"), ContentType("image/jpeg")):
        with pytest.raises(ValidationError, match="Invalid content type image/png, expected image/jpeg"):
            decode(parts[0], Annotated[Image.Image, marker])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.png", "y.png"),
        ("a\x00b\n.txt", "ab.txt"),
        ("x" * 300 + ".txt", "x" * 196 + ".txt"),
        ("a" + "\u65e5" * 100 + ".txt", "\u65e5" * 65 + ".txt"),
        ("..", ".."),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I;16"]
)
def test_a_new_image_of_any_kind_of_colours_is_sent(mode: str) -> None:
    data, media_type = encode_image(Image.new(mode, (2, 3)), None)
    assert media_type == "image/png"
    with Image.open(io.BytesIO(data)) as sent:
        assert sent.size == (2, 3)


@pytest.mark.parametrize(
    ("kind", "mode", "becomes"),
    [
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "RGBA", "image/png"),  # as after `putalpha`, which leaves the format as it is
        ("BMP", "CMYK", "image/png"),
        ("PSD", "RGB", "image/png"),  # which PIL reads only
    ],
)
def test_a_picture_that_its_own_format_cannot_hold(kind: str, mode: str, becomes: str) -> None:
    image = Image.new(mode, (2, 3))
    image.format = kind
    data, media_type = encode_image(image, None)
    assert (media_type, Image.open(io.BytesIO(data)).size) == (becomes, (2, 3))


@pytest.mark.parametrize("mode", ["F", "LAB"])
def test_a_picture_that_png_cannot_show_is_sent_as_it_is(mode: str) -> None:
    data, media_type = encode_image(Image.new(mode, (2, 3)), None)
    assert media_type == "image/tiff"
    assert Image.open(io.BytesIO(data)).mode == mode


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_a_format_that_is_declared_stays(mode: str) -> None:
    data, media_type = encode_image(Image.new(mode, (2, 3)), "image/jpeg")
    assert (media_type, Image.open(io.BytesIO(data)).format) == ("image/jpeg", "JPEG")


def test_what_is_transparent_is_white_where_the_declared_format_has_no_alpha() -> None:
    image = Image.new("RGBA", (16, 8), (0, 0, 0, 0))
    image.paste((200, 0, 0, 255), (8, 0, 16, 8))
    sent = Image.open(io.BytesIO(encode_image(image, "image/jpeg")[0]))
    left, right = (sent.getpixel(place) for place in ((1, 4), (14, 4)))
    assert isinstance(left, tuple) and min(left) > 240
    assert isinstance(right, tuple) and right[0] > 150 and max(right[1:]) < 50


def test_numbers_that_are_no_colours_are_not_made_some() -> None:
    with pytest.raises(OSError, match="cannot write mode F as JPEG"):
        encode_image(Image.new("F", (2, 3)), "image/jpeg")


def test_a_picture_of_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """PIL refuses twice as many as it warns of; a server refuses them before they are in memory."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read(Part("p", "a.png", None, picture(10, 10))).size == (10, 10)
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(ValidationError, match="DecompressionBombError"),
    ):
        read(Part("p", "a.png", None, picture(10, 11)))


def test_junk_that_a_decoder_of_pil_stumbles_over() -> None:
    with pytest.raises(ValidationError, match="the image cannot be read: NotImplementedError"):
        read(Part("p", "a.dds", None, b"DDS |" + bytes([0, 0, 0, 15, 16]) + bytes(150)))


def picture(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def read(part: Part) -> Any:
    return TypeAdapter(adapt(Image.Image)).validate_python(part)
