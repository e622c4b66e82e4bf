"""A Python of this machine that compiles: only the very release will do, wherever it lies."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.parts.compiler import LocalCompiler, fetched_compiler, local_compiler, shares_of
from bentoml.exceptions import BentoMLException

HERE = platform.python_version()
OTHER = "3.11.999"


def test_what_is_compiled_does_not_depend_on_how_many_do_it(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).write_text(f"A = {number}\n")
    LocalCompiler(HERE, Path(sys.executable)).compile(tmp_path, [0] * 5)
    assert sorted(path.name for path in tmp_path.glob("*.pyc")) == [f"{n}.pyc" for n in range(5)]
    assert shares_of([7, 8, 9], 2) == [b"0 7\n2 9\n", b"1 8\n"]
    assert shares_of([], 4) == [b""], "one process says which Python it is"


def test_another_release_compiles_nothing(tmp_path: Path) -> None:
    (tmp_path / "0").write_text("A = 1\n")
    with pytest.raises(BentoMLException, match=f"this is Python {HERE}, not {OTHER}"):
        LocalCompiler(OTHER, Path(sys.executable)).compile(tmp_path, [0])
    assert not list(tmp_path.glob("*.pyc"))


def test_the_one_that_runs_this_is_taken_first(tmp_path: Path) -> None:
    assert local_compiler(HERE, Cache(tmp_path), {}) == LocalCompiler(HERE, Path(sys.executable))
    assert local_compiler(OTHER, Cache(tmp_path), dict(os.environ)) is None


def test_one_that_is_fetched_stays_in_the_cache(tmp_path: Path) -> None:
    cache, env = Cache(tmp_path / "cache"), {**os.environ, "UV_OFFLINE": "1"}
    assert fetched_compiler(OTHER, cache, env) is None, "there is no such release"
    place = cache.folder("pythons") / f"cpython-{OTHER}-linux-x86_64-gnu/bin/python3"
    place.parent.mkdir(parents=True)
    place.touch()
    assert local_compiler(OTHER, cache, env) == LocalCompiler(OTHER, place)
