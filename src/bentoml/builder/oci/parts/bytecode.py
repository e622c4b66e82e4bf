"""Layers of bytecode, for those who ask for them: a container then compiles nothing when it starts.

The bytes follow from the sources and from the release of Python that compiles them, so only that very release will do: the
image is the same wherever it is made, and none is made where nobody has that release. The layers lie beside those of the
packages, where Python looks for them (`PYTHONPYCACHEPREFIX`), and belong to sources of a size and a time: a package that
somebody installs over another is compiled anew.
"""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....store.archives.tar import Tar, TarEntry
from ....store.digest import Digest
from ..bases.rootfs import LayerStream
from ..cache import Cache, kept_layer, recalled_layer
from ..codec import decompressed, gzip_codec
from ..model import Layer
from .compiler import Compiler
from .place import BYTECODE, HOME, UID, VENV, folders

__all__ = ["Python", "bytecode_layers"]

_FORMAT = 2  # of the layers; to be raised when the same sources give other bytes
_LARGEST = 8 << 20  # bytes of a source; what is larger is data
_NEVER_IMPORTED = re.compile(r"/(?:tests?|idlelib|lib2to3|turtledemo|ensurepip|tkinter)/")
_NOTHING = Digest.of(bytes(1024))  # the tar of nothing


@dataclass(frozen=True, slots=True)
class Python:
    """The Python of an image: its release, such as ``3.11.2``, and its program, as ``/usr/bin/python3.11``."""

    release: str
    program: str

    @property
    def tag(self) -> str:
        """What names of its bytecode hold (`sys.implementation.cache_tag`)."""
        return "cpython-" + "".join(self.release.split(".")[:2])

    def imports(self, path: str) -> bool:
        """Say whether a file, by its path relative to the root, is of its own library or of the packages upon it."""
        folder, name = posixpath.split(self.program.lstrip("/"))
        own = rf"{re.escape(posixpath.dirname(folder))}/lib(?:64)?/{re.escape(name)}/(?!(?:site|dist)-packages/|test/|config-)"
        return path.startswith(f"{VENV}/") or re.match(own, path) is not None


@dataclass(frozen=True, slots=True)
class _Stack:
    """Layers whose bytecode makes one layer: of files that stand in several, the upper one counts."""

    about: str
    layers: Sequence[Layer]
    key: object

    def recalled(self, cache: Cache) -> Layer | None:
        return recalled_layer(cache, self.key, gzip_codec(), "python", self.about)

    def kept(self, cache: Cache, tar: Tar) -> Layer:
        return kept_layer(cache, self.key, lambda _: tar, gzip_codec(), "python", self.about)


def bytecode_layers(
    python: Python,
    find: Callable[[], Compiler],
    base: Sequence[Layer],
    upon: Sequence[Layer],
    cache: Cache,
    *,
    epoch: int,
) -> tuple[Layer, ...]:
    """Return a layer for what the base has, and one for each layer upon it that brings something to import.

    What was made before comes from the cache; else ``find`` is asked, once, who compiles.
    """
    parts = [
        (f"Python {python.release}", base),
        *((one.about.removeprefix("python: "), [one]) for one in upon),
    ]
    stacks = [
        _Stack(f"bytecode: {what}", layers, _key(python, what, layers, epoch)) for what, layers in parts
    ]
    made = [stack.recalled(cache) for stack in stacks]
    if not all(made):
        lacking = [stack for stack, layer in zip(stacks, made, strict=True) if layer is None]
        _make(python, find(), lacking, cache, epoch)
        made = [stack.recalled(cache) for stack in stacks]
    return tuple(layer for layer in made if layer and layer.diff_id != _NOTHING)


def _key(python: Python, what: str, layers: Sequence[Layer], epoch: int) -> object:
    digests = [str(layer.descriptor.digest) for layer in layers]
    return ["bytecode", _FORMAT, python.release, python.program, epoch, what, digests]


def _make(python: Python, compiler: Compiler, stacks: Sequence[_Stack], cache: Cache, epoch: int) -> None:
    """Compile what the layers hold, all at once, and keep what comes of each stack."""
    with cache.scratch() as folder:
        times: list[int] = []
        places: list[dict[str, Path]] = []
        for stack in stacks:
            places.append({})
            for path, (time, source) in sorted(_sources(stack.layers, python).items()):
                file = folder / str(len(times))
                file.write_bytes(source)
                times.append(time)
                places[-1][_place(path, python.tag)] = file.with_suffix(".pyc")
        compiler.compile(folder, times)
        for stack, files in zip(stacks, places, strict=True):
            stack.kept(cache, _tar(files, epoch))


def _tar(files: Mapping[str, Path], epoch: int) -> Tar:
    entries = [TarEntry.file(place, file) for place, file in files.items() if file.is_file()]
    return Tar.of([*folders((entry.path for entry in entries), HOME, owner=UID), *entries], mtime=epoch)


def _place(path: str, tag: str) -> str:
    """Return where Python looks for the bytecode of a source (`importlib.util.cache_from_source`)."""
    return f"{BYTECODE}/{path.removesuffix('.py')}.{tag}.pyc"


def _sources(layers: Sequence[Layer], python: Python) -> dict[str, tuple[int, bytes]]:
    """Return the sources that layers hold, by path: the time of each, and its bytes."""
    found: dict[str, tuple[int, bytes]] = {}
    for layer in layers:
        found.update(_python_files(layer, python))
    return found


def _python_files(layer: Layer, python: Python) -> Iterator[tuple[str, tuple[int, bytes]]]:
    stream = LayerStream(decompressed(layer.blob.chunks()))
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = posixpath.normpath(posixpath.join("/", member.name))[1:]
            if not path.endswith(".py") or not python.imports(path) or _NEVER_IMPORTED.search(path):
                continue
            file = archive.extractfile(member) if member.isreg() and member.size < _LARGEST else None
            if file:
                yield path, (int(member.mtime), file.read())
    stream.drain()
