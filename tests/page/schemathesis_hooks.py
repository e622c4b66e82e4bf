"""What schemathesis cannot make up by itself: pictures."""

from __future__ import annotations

import io

import PIL.Image
import schemathesis
from hypothesis import strategies as st


def _picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (3, 2), "red").save(buffer, format=kind)
    return buffer.getvalue()


schemathesis.openapi.media_type(
    "image/*", st.sampled_from([_picture(kind) for kind in ("PNG", "JPEG", "GIF")])
)
