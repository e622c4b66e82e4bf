"""Make thumbnails and contact sheets of pictures."""

from __future__ import annotations

from typing import Annotated

from PIL import Image, ImageOps

import bentoml
from bentoml.validators import ContentType

Side = Annotated[int, bentoml.Field(ge=8, le=512, description="pixels of the longer side")]


@bentoml.service(threads=2)
class Thumbnails:
    """Make pictures smaller."""

    @bentoml.api
    def thumbnail(
        self, picture: Image.Image, side: Side = 128
    ) -> Annotated[Image.Image, ContentType("image/png")]:
        """Return the picture, no longer than `side` on its longer side; never enlarged."""
        small = ImageOps.exif_transpose(picture).convert("RGB")
        small.thumbnail((side, side))
        return small

    @bentoml.api
    def sheet(
        self, pictures: list[Image.Image], side: Side = 64
    ) -> Annotated[Image.Image, ContentType("image/png")]:
        """Return all pictures beside one another, each cut to a square of `side` pixels."""
        sheet = Image.new("RGB", (side * len(pictures), side))
        for i, picture in enumerate(pictures):
            sheet.paste(ImageOps.fit(picture.convert("RGB"), (side, side)), (i * side, 0))
        return sheet
