"""Layers of bytecode, for those who ask for them: a container then compiles nothing when it starts.

The bytes follow from the sources and from the release of Python that compiles them, so only that very release will do: the
image is the same on every machine that has it, and none is made on one that has not. The layers lie beside those of the
packages, where Python looks for them (`PYTHONPYCACHEPREFIX`), and belong to sources of a size and a time: a package that
somebody installs over another is compiled anew.
"""

from __future__ import annotations

import os
import platform
import posixpath
import re
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ....exceptions import BentoMLException
from ....process import CommandFailed, run
from ....store.archives.tar import Tar, TarEntry
from ...packages.uv_command import uv_command
from ..bases.rootfs import LayerStream
from ..cache import Cache, kept_layer
from ..codec import decompressed, gzip_codec
from ..model import Layer
from .place import BYTECODE, HOME, UID, folders

__all__ = ["Compiler", "bytecode_layers", "library_of"]

_FORMAT = 1  # of the layers; to be raised when the same sources give other bytes
_CHILD = Path(__file__).with_name("bytecode_child.py")
_LARGEST = 8 << 20  # bytes of a source; what is larger is data
_NEVER_IMPORTED = re.compile(r"/(?:tests?|idlelib|lib2to3|turtledemo|ensurepip|tkinter)/")


@dataclass(frozen=True, slots=True)
class Compiler:
    """A release of Python, such as ``3.11.2``, and a program of it on this machine."""

    release: str
    program: Path

    @classmethod
    def find(cls, release: str, base: str, env: Mapping[str, str]) -> Compiler:
        """Return the Python of this release that is here: the one that runs this, or one that uv knows of.

        Raises:
            BentoMLException: there is none, or the base does not say which release it has.
        """
        if not release:
            raise BentoMLException(f"base `{base}` does not say which Python it has; leave `--compile` away")
        if release == platform.python_version():
            return cls(release, Path(sys.executable))
        try:
            argv = [uv_command(), "python", "find", "--system", "--no-config", release]
            return cls(release, Path(run(argv, cwd=Path("/"), env=env).strip()))
        except CommandFailed as e:
            raise BentoMLException(
                f"this machine has no Python {release}, which is the one of base `{base}`: another would compile other bytes; "
                f"`uv python install {release}` fetches it, or leave `--compile` away"
            ) from e

    def compile(self, folder: Path, times: Sequence[int]) -> None:
        """Compile the files ``0``, ``1``, ... of a folder into ``0.pyc``, ``1.pyc``, ...; some may not be compiled."""
        shares = os.cpu_count() or 1
        with ThreadPoolExecutor(shares) as pool:
            for said in pool.map(
                lambda share: self._compile(folder, times, range(share, len(times), shares)), range(shares)
            ):
                if said != self.release:
                    raise BentoMLException(f"`{self.program}` is Python {said}, not {self.release}")

    def _compile(self, folder: Path, times: Sequence[int], numbers: range) -> str:
        lines = "".join(f"{number} {times[number]}\n" for number in numbers)
        argv = [str(self.program), "-I", "-S", "-B", str(_CHILD), str(folder)]
        return run(argv, input=lines.encode(), env={}).strip()


def bytecode_layers(
    compiler: Compiler,
    base: Sequence[Layer],
    library: str,
    packages: Sequence[Layer],
    cache: Cache,
    *,
    epoch: int,
) -> tuple[Layer, ...]:
    """Return a layer for Python's own library (the folder ``library`` of the base), and one for each layer of packages."""
    own = re.compile(rf"{re.escape(library)}/(?!(?:site|dist)-packages/|test/|config-)")
    stacked = _layer(
        compiler, base, f"Python {compiler.release}", cache, epoch, lambda path: bool(own.match(path))
    )
    return (
        stacked,
        *(
            _layer(compiler, [layer], layer.about.removeprefix("python: "), cache, epoch, lambda _: True)
            for layer in packages
        ),
    )


def library_of(interpreter: str) -> str:
    """Return the folder of Python's own library, relative to the root, of an interpreter such as ``/usr/bin/python3.11``."""
    return posixpath.join(
        posixpath.dirname(posixpath.dirname(interpreter)), "lib", posixpath.basename(interpreter)
    )[1:]


def _layer(
    compiler: Compiler,
    layers: Sequence[Layer],
    what: str,
    cache: Cache,
    epoch: int,
    wanted: Callable[[str], bool],
) -> Layer:
    """Return the layer of the bytecode of some layers, which is kept: to make it takes seconds."""
    key = [
        "bytecode",
        _FORMAT,
        compiler.release,
        epoch,
        what,
        [str(layer.descriptor.digest) for layer in layers],
    ]

    def make(folder: Path) -> Tar:
        found = _sources(layers, wanted, folder)
        compiler.compile(folder, list(found.values()))
        tag = "".join(compiler.release.split(".")[:2])
        done = ((path, folder / f"{number}.pyc") for number, path in enumerate(found))
        entries = [TarEntry.file(_place(path, tag), file) for path, file in done if file.is_file()]
        return Tar.of([*folders((entry.path for entry in entries), HOME, owner=UID), *entries], mtime=epoch)

    return kept_layer(cache, key, make, gzip_codec(), "python", f"bytecode: {what}")


def _place(path: str, tag: str) -> str:
    """Return where Python looks for the bytecode of a source (`importlib.util.cache_from_source`)."""
    return f"{BYTECODE}/{path.removesuffix('.py')}.cpython-{tag}.pyc"


def _sources(layers: Sequence[Layer], wanted: Callable[[str], bool], folder: Path) -> dict[str, int]:
    """Write the sources that layers hold as files ``0``, ``1``, ..., and return their paths and times in that order."""
    found: dict[str, tuple[int, bytes]] = {}
    for layer in layers:
        found.update(_python_files(layer, wanted))
    for number, path in enumerate(sorted(found)):
        (folder / str(number)).write_bytes(found[path][1])
    return {path: found[path][0] for path in sorted(found)}


def _python_files(layer: Layer, wanted: Callable[[str], bool]) -> Iterator[tuple[str, tuple[int, bytes]]]:
    stream = LayerStream(decompressed(layer.blob.chunks()))
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = posixpath.normpath(posixpath.join("/", member.name))[1:]
            if not path.endswith(".py") or not wanted(path) or _NEVER_IMPORTED.search(path):
                continue
            file = archive.extractfile(member) if member.isreg() and member.size < _LARGEST else None
            if file:
                yield path, (int(member.mtime), file.read())
    stream.drain()
