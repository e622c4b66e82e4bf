"""Zstandard, where this Python has it (3.14) or one of the two libraries that bring it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

from ...exceptions import MissingDependencyException

__all__ = ["decompressor", "library_name", "zst"]

_LEVEL = 3
_MODULES = ("compression.zstd", "backports.zstd")  # the one is the other, for older Pythons


def zst(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the .zst file of these bytes."""
    library = _library()
    options = {
        library.CompressionParameter.compression_level: _LEVEL,
        library.CompressionParameter.checksum_flag: 1,
    }
    compressor = library.ZstdCompressor(options=options)
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


def library_name() -> str:
    """Return what the bytes of `zst` depend on besides the content: the version of the library, and the level."""
    return f"zstd-{_library().zstd_version}/{_LEVEL}"


def decompressor() -> tuple[Callable[[], Any], type[Exception]]:
    """Return what makes a decompressor of one frame, and the error that it raises."""
    library = _library()
    return library.ZstdDecompressor, library.ZstdError


def _library() -> Any:
    for name in _MODULES:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise MissingDependencyException(
        "zstd needs Python 3.14 or `backports.zstd`; install it with `pip install 'bentoml[archives]'`, or choose another format"
    )
