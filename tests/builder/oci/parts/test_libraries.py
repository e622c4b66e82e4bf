"""Which libraries the extension modules of packages need, and what is said where a base lacks them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bentoml.builder.oci.parts.libraries import debian_package, external_needs, missing, needed

BASE = ("libc.so.6", "libm.so.6")


def elf(*names: str, at: int = 0x4000) -> bytes:
    """Return a shared library that needs others: headers, one loaded segment at another address, a dynamic section."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in names)
    start = 64 + 2 * 56
    places = [1 + sum(len(name) + 1 for name in names[:n]) for n in range(len(names))]
    tags = [*((1, place) for place in places), (5, at + start), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    end = start + len(strings)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, at, at, end + len(dynamic), end + len(dynamic), 4096)
    section = struct.pack("<IIQQQQQQ", 2, 4, end, at + end, at + end, len(dynamic), len(dynamic), 8)
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    return head + load + section + strings + dynamic


def write(folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return {path: folder / path for path in files}


@pytest.mark.parametrize("names", [(), ("libGL.so.1",), ("libc.so.6", "libgomp.so.1", "libm.so.6")], ids=str)
def test_what_a_library_needs(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "a.so").write_bytes(elf(*names))
    assert needed(tmp_path / "a.so") == list(names)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"INPUT(libm.so.6)", id="script"),
        pytest.param(elf("libGL.so.1")[:100], id="cut short"),
        pytest.param(elf("libGL.so.1")[:32] + b"\xff" * 200, id="nonsense"),
        pytest.param(b"\x7fELF\x01\x01" + elf("libGL.so.1")[6:], id="32 bits"),
    ],
)
def test_what_is_no_library_needs_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.so").write_bytes(data)
    assert needed(tmp_path / "a.so") == []


def test_a_real_library_is_read() -> None:
    import _ctypes

    assert "libc.so.6" in needed(Path(_ctypes.__file__))


def test_what_packages_bring_themselves_is_no_need(tmp_path: Path) -> None:
    files = write(
        tmp_path,
        {
            "site/cv2/cv2.abi3.so": elf("libGL.so.1", "libc.so.6", "libopenblas-1a2b.so.0"),
            "site/cv2.libs/libopenblas-1a2b.so.0": elf("libm.so.6"),
            "site/torch/lib/libtorch.so": elf("libcuda.so.1", "libcudart.so.12", "ld-linux-x86-64.so.2"),
            "site/nvidia/cuda_runtime/lib/libcudart.so.12": elf("libc.so.6"),
            "site/other/readme.txt": elf("libX11.so.6"),
        },
    )
    owners = {path: path.split("/")[1] for path in files}
    needs = external_needs(files, owners)
    assert needs == {
        "libGL.so.1": ["cv2"],
        "libc.so.6": ["cv2", "nvidia"],
        "libm.so.6": ["cv2.libs"],
    }, "libraries of wheels and drivers of the host are found elsewhere"
    (line,) = missing(needs, BASE, "python:3.11-slim")
    assert line == (
        "`cv2` may not work: the base image `python:3.11-slim` has no `libGL.so.1`; name what has them in "
        "`docker.system_packages`, on Debian `libgl1`"
    )
    assert list(missing(needs, (*BASE, "libGL.so.1"), "b")) == []


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libgomp.so.1", "libgomp1"),
        ("libGL.so.1", "libgl1"),
        ("libX11.so.6", "libx11-6"),
        ("libglib-2.0.so.0", "libglib2.0-0"),
        ("libgthread-2.0.so.0", "libglib2.0-0"),
        ("libsndfile.so.1", "libsndfile1"),
        ("libstdc++.so.6", "libstdc++6"),
        ("libSM.so.6", "libsm6"),
        ("libXext.so.6", "libxext6"),
        ("libpq.so.5", "libpq5"),
        ("libssl.so.3", "libssl3"),
        ("libusb-1.0.so.0", "libusb-1.0-0"),
    ],
)
def test_the_package_that_has_it(library: str, package: str) -> None:
    assert debian_package(library) == package


def test_one_line_for_each_package() -> None:
    needs = {
        "libX11.so.6": ["cv2"],
        "libglib-2.0.so.0": ["cv2"],
        "libgthread-2.0.so.0": ["cv2"],
        "libpq.so.5": ["a", "b"],
    }
    assert list(missing(needs, (), "base")) == [
        "`a`, `b` may not work: the base image `base` has no `libpq.so.5`; name what has them in `docker.system_packages`, "
        "on Debian `libpq5`",
        "`cv2` may not work: the base image `base` has no `libX11.so.6`, `libglib-2.0.so.0`, `libgthread-2.0.so.0`; name what "
        "has them in `docker.system_packages`, on Debian `libx11-6`, `libglib2.0-0`",
    ]
