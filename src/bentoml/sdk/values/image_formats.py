"""Which image formats are decoded: all that PIL decodes itself."""

from __future__ import annotations

__all__ = ["safe_formats"]

_UNSAFE = frozenset({"EPS"})  # PIL decodes it by running Ghostscript, which runs what is in the file


def safe_formats() -> tuple[str, ...]:
    """Return PIL's names of the formats that bytes from elsewhere may have; it needs Pillow."""
    import PIL.Image

    PIL.Image.init()
    return tuple(name for name in PIL.Image.ID if name not in _UNSAFE)
