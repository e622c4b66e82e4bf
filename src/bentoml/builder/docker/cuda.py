"""Which CUDA a bento may ask for, and the image that brings it: those of NVIDIA, by distribution."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["CUDA_VERSIONS", "cuda_image", "libc_of", "wheels_of_cuda"]

_DEFAULT = "12.8.1"
_EXACT = (
    "12.8.1", "12.8.0", "12.6.3", "12.6.2", "12.6.1", "12.6.0", "12.1.1", "12.1.0", "12.0.1", "12.0.0",
    "11.8.0", "11.7.1", "11.6.2", "11.4.3", "11.2.2",
)  # fmt: skip


def _spellings() -> dict[str, str]:
    """Return each way to write a version: in full, without its last number, or its first number alone."""
    found = {"default": _DEFAULT}
    for exact in _EXACT:  # the newest first, which is what the shorter ones mean
        major, minor, _ = exact.split(".")
        for text in (exact, f"{major}.{minor}", major):
            found.setdefault(text, exact)
    return found


CUDA_VERSIONS = _spellings()


_WHEELS = re.compile(r"^(nvidia-cuda-runtime(?:-cu\d+)?==[^\s;\\]+)", re.MULTILINE)


def wheels_of_cuda(pins: str) -> str:
    """Return the requirement by which packages bring CUDA themselves, as those of torch do, or an empty text."""
    found = _WHEELS.search(pins)
    return found[1] if found else ""


def cuda_image(distro: Literal["debian", "ubi8"], version: str) -> str:
    """Return the image with CUDA and cuDNN; NVIDIA has none for Debian, so that it is Ubuntu's."""
    if distro == "ubi8":
        return f"nvidia/cuda:{version}-{'cudnn' if _is_recent(version) else 'cudnn8'}-runtime-ubi8"
    if _is_recent(version):
        return f"nvidia/cuda:{version}-cudnn-runtime-ubuntu24.04"
    return f"nvidia/cuda:{version}-cudnn8-runtime-ubuntu22.04"


def libc_of(version: str) -> str:
    """Return the C library of the Ubuntu that `cuda_image` stands upon."""
    return "manylinux_2_39" if _is_recent(version) else "manylinux_2_35"


def _is_recent(version: str) -> bool:
    major, minor, _ = map(int, version.split("."))
    return (major, minor) >= (12, 6)
