"""Images: an uploaded picture becomes a ``PIL.Image.Image``, and a returned one is encoded."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from .files import Part, Sent, SentValue, check_content_type
from .image_formats import safe_formats

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["PILImageEncoder", "SentImage", "encode_image", "holds_images"]

# The modes that PNG does not know, and the one that shows the same picture.
_FOR_PNG = {"CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}
_FOR_TIFF = ("F", "LAB")
_SHOWN_IN_RGB = {*_FOR_PNG, "LA", "P", "PA", "RGBA"}
# What the decoders of PIL raise when they meet bytes that are no image of theirs.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, RuntimeError, LookupError, ArithmeticError, AttributeError,
    struct.error, zlib.error,
)  # fmt: skip
_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}


@dataclass(frozen=True, slots=True)
class PILImageEncoder:
    """Take an uploaded image as a ``PIL.Image.Image``, decoded in full so that a bad one is the caller's mistake."""

    content_type: str | None = None

    def to_image(self, value: Any) -> Image:
        """Return the decoded image."""
        if not isinstance(value, Part) or value.filename is None:
            raise PydanticCustomError("path_type", "Invalid file type")
        check_content_type(value, self.content_type)
        formats = _formats((value.content_type or "").partition(";")[0].strip().lower())
        if not formats:
            raise ValueError(f"images of type {value.content_type} cannot be read")
        return _open(value, formats)

    def json_schema(self) -> dict[str, Any]:
        """Return the schema as `/schema.json` shows it."""
        schema: dict[str, Any] = {"type": "file", "format": "image", "pil": True}
        return schema | ({"content_type": self.content_type} if self.content_type else {})

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.to_image,
            serialization=core_schema.plain_serializer_function_ser_schema(_refuse_json, when_used="json"),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()


@dataclass(frozen=True)
class SentImage(SentValue):
    """Give an image inside an answered object as an encoded file."""

    schema: PILImageEncoder

    def check(self, value: Any) -> Any:
        """Return an image as it is."""
        if not hasattr(value, "save"):
            raise ValueError(f"it is no image, but a value of type {type(value).__name__}")
        return value

    def sent(self, value: Any) -> Sent:
        """Return the encoded image."""
        data, media_type = encode_image(self.check(value), self.schema.content_type)
        return Sent(data, media_type, f"image.{media_type.rpartition('/')[2]}")


def encode_image(image: Image, declared: str | None) -> tuple[bytes, str]:
    """Return an image's bytes and media type: the declared format, or its own, or PNG, or TIFF for what is no colours.

    Raises:
        OSError, KeyError, ValueError: the declared format cannot hold this image.
    """
    wanted = _formats(declared.lower()) if declared and "*" not in declared else ()
    if wanted:
        return _saved_as_declared(image, wanted[0])
    if image.format:
        # PIL may only read the format, or it may not hold what the picture has become.
        with suppress(OSError, KeyError, ValueError):
            return _saved(image, image.format)
    if image.mode in _FOR_TIFF:
        return _saved(image, "TIFF")
    return _saved(_for_png(image), "PNG")


def holds_images(schema: Any) -> bool:
    """Say whether a JSON schema asks for an image somewhere, which is decoded."""
    if isinstance(schema, dict):
        return schema.get("pil") is True or any(map(holds_images, schema.values()))
    return isinstance(schema, list) and any(map(holds_images, schema))


def _saved_as_declared(image: Image, kind: str) -> tuple[bytes, str]:
    try:
        return _saved(image, kind)
    except OSError:
        if image.mode not in _SHOWN_IN_RGB:
            raise
        return _saved(_opaque(image), kind)


def _opaque(image: Image) -> Image:
    """Return a picture in RGB, white where it is transparent, for formats without alpha, as JPEG."""
    import PIL.Image

    colours = _for_png(image).convert("RGBA")
    page = PIL.Image.new("RGBA", colours.size, "white")
    page.alpha_composite(colours)
    return page.convert("RGB")


def _for_png(image: Image) -> Image:
    return image.convert(_FOR_PNG[image.mode]) if image.mode in _FOR_PNG else image


def _saved(image: Image, kind: str) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue(), f"image/{kind.lower()}"


def _open(part: Part, formats: tuple[str, ...]) -> Image:
    import PIL.Image

    try:
        image = PIL.Image.open(io.BytesIO(part.content()), formats=formats)
        most = PIL.Image.MAX_IMAGE_PIXELS  # PIL itself lets twice as many pass, with a warning
        if most is not None and image.width * image.height > most:
            raise PIL.Image.DecompressionBombError
        image.load()
    except (*_BROKEN, PIL.Image.DecompressionBombError) as e:
        raise ValueError(f"the image cannot be read: {type(e).__name__}") from e
    return image


@cache
def _formats(media_type: str) -> tuple[str, ...]:
    """Return the formats in which a part of this media type may be; every safe one where it says nothing."""
    import PIL.Image

    safe = safe_formats()
    if not media_type.startswith("image/") or media_type == "image/*":
        return safe
    wanted = _ALIASES.get(media_type, media_type)
    return tuple(name for name in safe if PIL.Image.MIME.get(name) == wanted)


def _refuse_json(image: Any) -> Any:
    raise TypeError("an image cannot be part of a JSON body; return it alone")
