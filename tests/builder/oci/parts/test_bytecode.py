"""Bytecode of an image: the same in any company, and used where it lies, of the sources that lie there alone."""

from __future__ import annotations

import marshal
import os
import platform
import subprocess
import sys
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from tests.builder.handmade import layer, members

from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.model import Layer
from bentoml.builder.oci.parts.bytecode import Python, bytecode_layers
from bentoml.builder.oci.parts.compiler import Compiler, LocalCompiler
from bentoml.store.archives.tar import TarEntry

HERE = platform.python_version()
PYTHON = Python(HERE, "/usr/bin/python3")
TAG = PYTHON.tag
SITE = "app/.venv/lib/python3/site-packages"
PLACE = "home/bentoml/.cache/python"
SOURCE = b"def greet(name, words=('a', 'b')):\n    return {'said': name in {'x', 'y', 'z'}}, words, 1.5\n"


def packages(**files: bytes) -> Layer:
    """Return a layer of packages; ``numbers__one`` is the file ``numbers/one.py``."""
    entries = [TarEntry.file(f"{SITE}/{name.replace('__', '/')}.py", text) for name, text in files.items()]
    return layer([*entries, TarEntry.file(f"{SITE}/data.txt", b"1")])._replace(
        kind="python", about="python: 2 packages"
    )


def here() -> Compiler:
    return LocalCompiler(HERE, Path(sys.executable))


def made(
    cache: Path,
    *layers: Layer,
    base: Layer | None = None,
    find: Callable[[], Compiler] = here,
    python: Python = PYTHON,
) -> list[Layer]:
    below = base or layer([TarEntry.file("usr/lib/python3/abc.py", b"A = 1\n")])
    return list(bytecode_layers(python, find, [below], layers, Cache(cache), epoch=0))


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
    python = Python(HERE, str(tmp_path / "bin/python3"))
    root = tmp_path / "lib/python3"
    source = root / "numbers.py"
    root.mkdir(parents=True)
    source.write_bytes(b"def fail():\n    raise ValueError(__file__)\n")
    os.utime(source, (0, 0))
    entry = TarEntry.file(f"{str(root)[1:]}/numbers.py", source.read_bytes())
    (compiled,) = made(tmp_path / "cache", base=layer([entry]), python=python)
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
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300).stderr

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
    again = made(tmp_path, packages(one=SOURCE), find=lambda: pytest.fail("nobody has to compile"))
    assert [la.descriptor for la in first] == [la.descriptor for la in again]
    third = made(tmp_path, packages(one=SOURCE), packages(two=b"B = 2\n"))
    assert [la.descriptor for la in third[:2]] == [la.descriptor for la in first]


def test_a_step_that_edits_a_package_has_bytecode_of_its_own(tmp_path: Path) -> None:
    """All times are those of the image: an edit that keeps the size of a file would be taken for what it was."""
    edited = packages(one=SOURCE.replace(b"1.5", b"2.5"))._replace(
        kind="system", about="run post_commands[0]"
    )
    *_, last = made(tmp_path, packages(one=SOURCE), edited)
    assert last.about == "bytecode: run post_commands[0]"
    namespace: dict[str, Any] = {}
    exec(marshal.loads(content(last)[f"{PLACE}/{SITE}/one.{TAG}.pyc"][16:]), namespace)
    assert namespace["greet"]("x")[2] == 2.5


def test_what_brings_nothing_to_import_has_no_layer(tmp_path: Path) -> None:
    tool = layer([TarEntry.file("etc/tool.py", b"A = 1\n")])._replace(kind="system", about="run commands[0]")
    assert [one.about for one in made(tmp_path, tool)] == [f"bytecode: Python {HERE}"]


def test_packages_that_an_engine_installed_in_the_base_are_compiled_with_it(tmp_path: Path) -> None:
    below = layer(
        [
            TarEntry.file(f"{path}.py", b"A = 1\n")
            for path in (f"{SITE}/one", "usr/lib64/python3/abc", "usr/lib/python3.9/x", "opt/other")
        ]
    )
    (library,) = made(tmp_path, base=below)
    assert [path.removeprefix(f"{PLACE}/") for path, m in members(library).items() if m.kind == "file"] == [
        f"{SITE}/one.{TAG}.pyc",
        f"usr/lib64/python3/abc.{TAG}.pyc",
    ]
