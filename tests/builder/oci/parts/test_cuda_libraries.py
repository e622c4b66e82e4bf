"""CUDA in an image: the wheels bring it, and no library of it is there twice."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

from tests.builder.handmade import offline, pins, wheel
from tests.builder.oci.images import noise
from tests.builder.oci.parts.test_libraries import elf

from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.model import Layer, Platform
from bentoml.builder.oci.parts.python import PythonRequest, PythonTarget, Sources, python_layers

LIBRARIES = {
    "nvidia_cuda_runtime_cu12": "nvidia/cuda_runtime/lib/libcudart.so.12",
    "nvidia_cublas_cu12": "nvidia/cublas/lib/libcublas.so.12",
    "nvidia_cudnn_cu12": "nvidia/cudnn/lib/libcudnn.so.9",
}


def with_file(path: Path, name: str, data: bytes) -> Path:
    """Add a file to a wheel, and to its RECORD."""
    with zipfile.ZipFile(path) as archive:
        contents = {member: archive.read(member) for member in archive.namelist()}
    record = next(member for member in contents if member.endswith("RECORD"))
    contents |= {name: data, record: f"{name},,\n".encode() + contents[record]}
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in contents.items():
            archive.writestr(zipfile.ZipInfo(member), content)
    return path


def files(layers: tuple[Layer, ...]) -> list[tuple[str, str]]:
    """Return the path and the sha256 of each file of all layers."""
    found = []
    for layer in layers:
        data = io.BytesIO(b"".join(decompressed(layer.blob.chunks())))
        with tarfile.open(fileobj=data) as archive:
            for member in archive:
                if member.isreg() and (file := archive.extractfile(member)):
                    found.append((member.name, hashlib.sha256(file.read()).hexdigest()))
    return found


def test_each_library_is_there_once(tmp_path: Path) -> None:
    wheels = [
        with_file(wheel(tmp_path / "wheels", name), path, elf("libc.so.6") + noise(50_000, name))
        for name, path in LIBRARIES.items()
    ]
    names = [path.rpartition("/")[2] for path in LIBRARIES.values()]
    torch = wheel(tmp_path / "wheels", "torch")
    wheels.append(with_file(torch, "torch/lib/libtorch_cuda.so", elf("libcuda.so.1", *names) + noise(60_000)))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(pins(*wheels))
    target = PythonTarget.of("3.12", "/usr/bin/python3.12", Platform(), "2.36")
    options = ("--no-index", "--find-links", str(tmp_path / "wheels"))
    request = PythonRequest(requirements, (), target, tmp_path, lambda: Sources(offline(tmp_path), options))
    layers, needs = python_layers(request, Cache(tmp_path / "cache"), epoch=0)
    found = files(layers)
    copies = Counter(digest for path, digest in found if ".so" in path)
    assert len(copies) == 4
    assert set(copies.values()) == {1}
    assert set(needs) <= {"libc.so.6"}, (
        "libraries of wheels, and those that the driver brings, are not missed"
    )
