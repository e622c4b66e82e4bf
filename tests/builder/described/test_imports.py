from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.contents.files import find_files
from bentoml.builder.described.imports import (
    Import,
    package_names,
    packages_of,
    project_imports,
    with_what_they_need,
)


def imports_of(folder: Path, start: str = "service", **files: str) -> list[str]:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [one.module for one in project_imports(find_files(folder), start).foreign]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os, json\nfrom collections.abc import Mapping", []),
        ("import numpy as np\nfrom sklearn.svm import SVC", ["numpy", "sklearn"]),
        ("def f():\n    import torch", ["torch"]),
        ("class A:\n    async def f(self):\n        with x:\n            import torch", ["torch"]),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\nelse:\n    import jax",
            ["jax"],
        ),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None", []),
        ("try:\n    import torch\nexcept ValueError:\n    pass\nelse:\n    import jax", ["jax", "torch"]),
        ("from __future__ import annotations", []),
        ("import numpy\nthis is no Python", []),
        ("", []),
    ],
)
def test_what_counts_as_an_import(tmp_path: Path, text: str, found: list[str]) -> None:
    assert imports_of(tmp_path, service=text) == found


def test_only_what_the_service_imports_is_followed(tmp_path: Path) -> None:
    found = imports_of(
        tmp_path,
        service="from lib import text\nfrom lib.more import x\nimport helper",
        lib____init__="",
        lib__text="from . import deep\nfrom .deep import y\nimport b_package",
        lib__deep="import c_package",
        lib__more="import a_package",
        helper="from . import nothing",
        train="import pandas",
        test_service="import pytest",
    )
    assert found == ["a_package", "b_package", "c_package"]


def test_without_a_known_service_every_file_is_read(tmp_path: Path) -> None:
    assert imports_of(tmp_path, start="", a="import x_one", b="import x_two\nimport a") == ["x_one", "x_two"]


def test_the_place_is_the_first_one(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text("import os\nimport numpy\nimport numpy.linalg\n")
    assert project_imports(find_files(tmp_path), "service").foreign == [Import("numpy", "service.py:2")]


def test_modules_are_known_by_what_is_installed_else_by_name() -> None:
    assert packages_of("yaml", {"yaml": ["PyYAML"]}) == ({"pyyaml"}, True)
    assert packages_of("cv2", {}) == ({"opencv-python-headless"}, True)
    assert packages_of("Some_Thing", {}) == ({"some-thing"}, False)


def test_names_and_what_they_bring() -> None:
    assert package_names(["NumPy>=2", "a.b_c[x]==1 ; y", "# no", "    --hash=sha256:0"]) == {"numpy", "a-b-c"}
    assert {"scikit-learn", "joblib", "numpy"} <= with_what_they_need({"scikit-learn", "not-there-at-all"})


def test_modules_that_packages_lack(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "service.py").write_text("import pkg.sub\nfrom pkg.deep import a, b\nfrom pkg import there\n")
    (tmp_path / "pkg" / "__init__.py").write_text("from . import local\n")
    (tmp_path / "pkg" / "there.py").write_text("")
    assert project_imports(find_files(tmp_path), "service").lacking == [
        Import("pkg.deep", "service.py:2"),
        Import("pkg.deep.a", "service.py:2"),
        Import("pkg.deep.b", "service.py:2"),
        Import("pkg.local", "pkg/__init__.py:1"),
        Import("pkg.sub", "service.py:1"),
    ]
