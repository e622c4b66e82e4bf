"""A Python for a base that has none: one of those that uv brings, which run wherever there is a glibc, as a layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version as version_of
from pathlib import Path

from ....exceptions import BentoMLException
from ....process import CommandFailed, run
from ....store.archives.tar import Tar, TarEntry
from ...packages.uv_command import uv_command
from ..cache import Cache, kept_layer
from ..codec import gzip_codec
from ..model import Base
from .place import APP, folders

__all__ = ["with_python"]

_FORMAT = 1  # to be raised when the same Python gives another layer
_PLACE = f"{APP}/python"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_LEFT_BY_UV = (".lock", ".gitignore", ".temp")


def with_python(
    base: Base, version: str, *, cache: Cache, env: Mapping[str, str], epoch: int, offline: bool = False
) -> Base:
    """Return the base with a Python ``X.Y`` more, which is found as ``/usr/local/bin/pythonX.Y``.

    Nothing of it is run; which patch level it is depends on the version of uv.

    Raises:
        BentoMLException: it cannot be fetched, or there is none for the platform.
    """
    machine = _MACHINES.get(base.platform.architecture)
    if machine is None:
        raise BentoMLException(
            f"there is no Python for `{base.platform}` to put upon `{base.name}`; take a base that has one"
        )
    name = f"cpython-{version}-linux-{machine}-gnu"
    key = {"managed python": _FORMAT, "name": name, "uv": version_of("uv"), "epoch": epoch}

    def make(scratch: Path) -> Tar:
        _install(name, scratch / "python", base.name, env, offline)
        return Tar.of(_entries(scratch / "python", version), mtime=epoch)

    layer = kept_layer(cache, key, make, gzip_codec(), "system", f"Python {version}")
    return base._replace(layers=(*base.layers, layer))


def _install(name: str, folder: Path, base: str, env: Mapping[str, str], offline: bool) -> None:
    argv = [
        uv_command(), "python", "install", "--no-config", "--no-progress", "--no-bin", "--install-dir", str(folder),
        *(["--offline"] if offline else []), name,
    ]  # fmt: skip
    try:
        run(argv, env={**env, "NO_COLOR": "1"})
    except CommandFailed as e:
        raise BentoMLException(
            f"`{base}` has no Python, and `{name}` could not be fetched to be put there; `UV_PYTHON_INSTALL_MIRROR` names another "
            f"place to look, `--base-image` an image that has one\n{e.output.strip()}"
        ) from e


def _entries(folder: Path, version: str) -> list[TarEntry]:
    """Return the files as they lie in the image: what uv wrote of this machine's folder names the image's."""
    (root,) = [
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.is_symlink() and path.name not in _LEFT_BY_UV
    ]
    place = f"{_PLACE}/{root.name}"
    files = list(_files(root, place, str(folder).encode()))
    program = TarEntry.symlink(f"usr/local/bin/python{version}", f"/{place}/bin/python{version}")
    return [*folders((entry.path for entry in files), _PLACE), *files, program]


def _files(root: Path, place: str, here: bytes) -> Iterator[TarEntry]:
    for path in sorted(root.rglob("*")):
        where = f"{place}/{path.relative_to(root)}"
        if path.is_symlink():
            yield TarEntry.symlink(where, str(path.readlink()))
        elif path.is_file() and path.suffix != ".pyc":
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            content = path.read_bytes()
            own = content.replace(here, f"/{_PLACE}".encode()) if here in content else None
            yield TarEntry.file(where, path if own is None else own, mode=mode)
