"""Bytecode of an image: made by one release of Python alone, the same wherever that is, and used where it lies."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tarfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from tests.builder.handmade import layer, members

from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.model import Layer
from bentoml.builder.oci.parts.bytecode import Compiler, bytecode_layers, library_of
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.tar import TarEntry

HERE = platform.python_version()
TAG = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
COMPILER = Compiler(HERE, Path(sys.executable))
SITE = "app/.venv/lib/python3/site-packages"
PLACE = "home/bentoml/.cache/python"
SOURCE = b"def greet(name, words=('a', 'b')):\n    return {'said': name in {'x', 'y', 'z'}}, words, 1.5\n"


def packages(**files: bytes) -> Layer:
    """Return a layer of packages; ``numbers__one`` is the file ``numbers/one.py``."""
    entries = [TarEntry.file(f"{SITE}/{name.replace('__', '/')}.py", text) for name, text in files.items()]
    return replace(
        layer([*entries, TarEntry.file(f"{SITE}/data.txt", b"1")]), kind="python", about="python: 2 packages"
    )


def made(cache: Path, *layers: Layer, base: Layer | None = None) -> list[Layer]:
    below = base or layer([TarEntry.file("usr/lib/python3/abc.py", b"A = 1\n")])
    return list(bytecode_layers(COMPILER, [below], "usr/lib/python3", layers, Cache(cache), epoch=0))


def test_each_layer_of_packages_and_the_library_have_one(tmp_path: Path) -> None:
    library, first = made(tmp_path, packages(one=SOURCE, numbers__two=b"B = 2\n"))
    assert (library.about, first.about) == (f"bytecode: Python {HERE}", "bytecode: 2 packages")
    assert {path for path, m in members(library).items() if m.kind == "file"} == {
        f"{PLACE}/usr/lib/python3/abc.{TAG}.pyc"
    }
    found = members(first)
    assert {path for path, m in found.items() if m.kind == "file"} == {
        f"{PLACE}/{SITE}/one.{TAG}.pyc",
        f"{PLACE}/{SITE}/numbers/two.{TAG}.pyc",
    }
    assert found[f"{PLACE}/{SITE}"].owner == found["home/bentoml"].owner == (1034, 1034), (
        "more is kept beside it"
    )


def test_of_the_library_what_a_service_may_import(tmp_path: Path) -> None:
    paths = (
        "json/decoder",
        "test/test_json",
        "site-packages/pip/x",
        "dist-packages/y",
        "idlelib/z",
        "config-3/c",
    )
    base = layer([TarEntry.file(f"usr/lib/python3/{path}.py", b"A = 1\n") for path in paths])
    library, *_ = made(tmp_path, base=base)
    assert [path.rpartition("/")[2] for path, m in members(library).items() if m.kind == "file"] == [
        f"decoder.{TAG}.pyc"
    ]


def test_the_bytes_are_the_same_in_any_company(tmp_path: Path) -> None:
    alone = made(tmp_path / "a", packages(one=SOURCE))[1]
    beside = made(tmp_path / "b", packages(a=b"name = 'said'\n" * 50, one=SOURCE, zz=SOURCE))[1]
    again = made(tmp_path / "c", packages(one=SOURCE))[1]
    assert alone.descriptor == again.descriptor
    path = f"{PLACE}/{SITE}/one.{TAG}.pyc"
    assert content(alone)[path] == content(beside)[path]


def content(layer: Layer) -> dict[str, bytes]:
    data = b"".join(decompressed(layer.blob.chunks()))
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        return {m.name: file.read() for m in archive if (file := archive.extractfile(m))}


def test_python_takes_it_and_knows_when_not_to(tmp_path: Path) -> None:
    """It is used where source and time agree, with the source's own name in tracebacks; an edited source is compiled anew."""
    root = tmp_path / "root"
    source = root / "numbers.py"
    root.mkdir()
    source.write_bytes(b"def fail():\n    raise ValueError(__file__)\n")
    os.utime(source, (0, 0))
    entry = TarEntry.file(f"{str(root)[1:]}/numbers.py", source.read_bytes())
    compiled = made(tmp_path / "cache", replace(layer([entry]), kind="python", about="python: x"))[1]
    for path, data in content(compiled).items():
        place = tmp_path / "prefix" / path.removeprefix(f"{PLACE}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def run() -> str:
        argv = [sys.executable, "-v", "-c", "import numbers as n; n.fail()"]
        env = {
            "PYTHONPATH": str(root),
            "PYTHONPYCACHEPREFIX": str(tmp_path / "prefix"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30).stderr

    said = run()
    assert f"matches {source}" in said and f'File "{source}", line 2, in fail' in said
    source.write_text("def fail():\n    raise KeyError\n")
    said = run()
    assert "bytecode is stale for 'numbers'" in said and "KeyError" in said


def test_what_cannot_be_compiled_is_left_out(tmp_path: Path) -> None:
    _, found = made(tmp_path, packages(old=b"print 'two'\n", nul=b"\0", good=b"A = 1\n", deep=b"(" * 5000))
    assert [path.rpartition("/")[2] for path, m in members(found).items() if m.kind == "file"] == [
        f"good.{TAG}.pyc"
    ]


def test_what_is_known_is_not_compiled_again(tmp_path: Path) -> None:
    first = made(tmp_path, packages(one=SOURCE))
    broken = Compiler(HERE, tmp_path / "no such program")
    below = layer([TarEntry.file("usr/lib/python3/abc.py", b"A = 1\n")])
    again = bytecode_layers(
        broken, [below], "usr/lib/python3", [packages(one=SOURCE)], Cache(tmp_path), epoch=0
    )
    assert [la.descriptor for la in first] == [la.descriptor for la in again]


def test_only_the_very_release_will_do(tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match=f"is Python {HERE}, not 3.11.999"):
        Compiler("3.11.999", Path(sys.executable)).compile(tmp_path, [])
    assert Compiler.find(HERE, "base", {}) == COMPILER
    with pytest.raises(
        BentoMLException, match=r"no Python 3\.11\.999, .* `python:3\.11-slim`.*uv python install 3\.11\.999"
    ):
        Compiler.find("3.11.999", "python:3.11-slim", dict(os.environ))
    with pytest.raises(BentoMLException, match="does not say which Python it has"):
        Compiler.find("", "base", {})


def test_where_the_library_of_a_python_is() -> None:
    assert library_of("/usr/local/bin/python3.12") == "usr/local/lib/python3.12"
    assert library_of("/usr/bin/python3.11") == "usr/lib/python3.11"
