"""Small real parts for the tests of images: wheels, a base, a bento; none needs a network."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bentoml.builder.oci.codec import gzip_codec, layer_of
from bentoml.builder.oci.model import Base, Layer, Platform
from bentoml.config import Home
from bentoml.store.archives.tar import Tar, TarEntry
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.digest import Digest
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import Model, ModelStore
from bentoml.tag import Tag

PASSWD = "root:x:0:0:root:/root:/bin/bash\n"
GROUP = "root:x:0:\n"
LIBC = b"\x7fELF...GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\nCopyright..."


def wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    files: Mapping[str, str] | None = None,
    programs: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
    requires: str = "",
) -> Path:
    """Make a wheel; ``programs`` are console scripts (name -> ``module:function``)."""
    info = f"{name}-{version}.dist-info"
    contents = {f"{name}/__init__.py": "", **(files or {})}
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    contents[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    contents[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
    if programs:
        lines = [f"{program} = {target}" for program, target in programs.items()]
        contents[f"{info}/entry_points.txt"] = "\n".join(["[console_scripts]", *lines, ""])
    rows = [f"{path},sha256={_hash(text)},{len(text.encode())}" for path, text in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in contents.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return target


def pins(*wheels: Path) -> str:
    """Return the requirements that pin these wheels."""
    names = ("==".join(path.name.split("-")[:2]) for path in wheels)
    return "".join(
        f"{name} --hash={Digest.of_file(path)}\n" for name, path in zip(names, wheels, strict=True)
    )


def base(
    *,
    version: str = "3.11",
    python: str = "/usr/local/bin/python3.11",
    env: tuple[str, ...] = (),
    extra: int = 0,
    program: bytes = b"",
) -> Base:
    """Return a base like `python:X.Y-slim`, as far as a bento looks at it; ``program`` is the content of its Python."""
    lowest = [
        TarEntry.folder("home"),
        TarEntry.file("etc/passwd", PASSWD.encode()),
        TarEntry.file("etc/group", GROUP.encode()),
        TarEntry.file("usr/lib/x86_64-linux-gnu/libc.so.6", LIBC),
    ]
    layers = [layer(lowest), layer([TarEntry.file(python.lstrip("/"), program, mode=0o755)])]
    layers += [layer([TarEntry.file(f"opt/{n}", b"")]) for n in range(extra)]
    config: dict[str, object] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", f"PYTHON_VERSION={version}", *env],
            "Cmd": ["python3"],
            "Labels": {"maker": "somebody"},
            "Healthcheck": {"Test": ["CMD", "true"]},
        },
        "history": [
            {"created_by": "COPY rootfs"},
            {"created_by": "ENV x", "empty_layer": True},
            {"created_by": "RUN"},
        ],
    }
    return Base("python:test", None, config, tuple(layers), Platform())


def layer(entries: list[TarEntry]) -> Layer:
    """Return a layer of a base."""
    return layer_of(Tar.of(entries), gzip_codec(), "base")


@dataclass(frozen=True)
class Member:
    """A member of a layer, as a program that unpacks it sees it."""

    kind: str
    mode: int
    owner: tuple[int, int]
    mtime: float
    text: str


def members(layer: Layer) -> dict[str, Member]:
    """Unpack a layer with another program than the one that packed it."""
    data = b"".join(layer.blob.chunks())
    assert Digest.of(data) == layer.descriptor.digest
    assert len(data) == layer.descriptor.size
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for info in archive:
            file = archive.extractfile(info) if info.isreg() else None
            text = file.read().decode(errors="surrogateescape") if file else info.linkname
            kind = "file" if info.isreg() else "dir" if info.isdir() else "symlink"
            found[info.name] = Member(kind, info.mode, (info.uid, info.gid), info.mtime, text)
    return found


def offline(folder: Path) -> dict[str, str]:
    """Return an environment in which packages come from the wheels in ``folder`` and from nowhere else."""
    return {
        "HOME": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(folder),
        "PIP_NO_INDEX": "1",
        "UV_CACHE_DIR": str(folder / "uv"),
    }


def save_model(home: Home, name: str = "words", text: str = "hello", **files: str) -> Model:
    """Save a model of small files."""
    with ModelStore(home).create(name) as model:
        for file, content in {"words.txt": text, **files}.items():
            Path(model.path, file).write_text(content)
    return model


def save_bento(
    home: Home,
    wheels: Path,
    *,
    models: tuple[Model, ...] = (),
    source: str = "print('hello')\n",
    image: Mapping[str, object] | None = None,
    envs: tuple[dict[str, str], ...] = (),
    services: tuple[dict[str, object], ...] = (),
    packages: tuple[Path, ...] = (),
    dockerfile: str = "FROM scratch\n",
    files: Mapping[str, str] | None = None,
) -> Bento:
    """Store a bento whose packages are wheels in a folder; its runtime is a wheel that holds nothing."""
    numbers = wheel(
        wheels, "numbers", files={"numbers/one.py": "ONE = 1\n"}, programs={"count": "numbers.one:run"}
    )
    with BentoStore(home).create("greeter") as draft:
        texts = {
            "src/service.py": source,
            "env/docker/entrypoint.sh": "#!/bin/sh\n",
            "env/docker/Dockerfile": dockerfile,
            "env/python/requirements.txt": pins(numbers, *packages).replace("_", "-"),
            **(files or {}),
        }
        for path, text in texts.items():
            (draft.path / path).parent.mkdir(parents=True, exist_ok=True)
            (draft.path / path).write_text(text)
        (draft.path / "env/docker/entrypoint.sh").chmod(0o755)
        wheel(draft.path / "env/python/wheels", "bentoml", "0.1.0", programs={"bentoml": "bentoml:main"})
        draft.info = BentoInfo(
            tag=Tag("greeter"),
            service="service:Greeter",
            entry_service="Greeter",
            models=tuple(ModelRef.of(model.info) for model in models),
            services=services,
            envs=envs,
            image={
                "base_image": "python:3.11-slim", "python_version": "3.11", "platform": "linux/amd64", **(image or {}),
            },
        )  # fmt: skip
    return draft.saved


def _hash(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def unpinned(reference: str, platform: Platform) -> Digest | None:
    """Find the digest of no base, and ask no registry for it."""
    return None
