from __future__ import annotations

import csv
import io
import os
import zipfile
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path

import bentoml
from bentoml.builder.contents.wheel import runtime_requirements, runtime_wheel

PACKAGE = Path(bentoml.__file__).parent


def test_the_wheel_holds_the_package_and_its_metadata() -> None:
    wheel = runtime_wheel()
    assert wheel.name == f"bentoml-{bentoml.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
        names = archive.namelist()
        assert archive.read("bentoml/tag.py") == (PACKAGE / "tag.py").read_bytes()
        record = archive.read(f"bentoml-{bentoml.__version__}.dist-info/RECORD").decode()
        for name, digest, size in csv.reader(record.splitlines()):
            if not name.endswith("RECORD"):
                data = archive.read(name)
                assert digest == "sha256=" + urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
                assert int(size) == len(data)
    assert {"bentoml/py.typed", "bentoml/templates/entrypoint.sh"} <= set(names)
    assert f"bentoml-{bentoml.__version__}.dist-info/licenses/LICENSE" in names
    assert [row.split(",")[0] for row in record.splitlines()] == names
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_is_a_distribution(tmp_path: Path) -> None:
    wheel = runtime_wheel()
    (tmp_path / wheel.name).write_bytes(wheel.data)
    (found,) = distributions(path=[str(tmp_path / wheel.name)])
    assert (found.name, found.version) == ("bentoml", bentoml.__version__)
    assert [entry.name for entry in found.entry_points] == ["bentoml"]
    assert "Tag: py3-none-any\n" in (found.read_text("WHEEL") or "")


def test_the_bytes_do_not_depend_on_time_or_modes(tmp_path: Path) -> None:
    package = tmp_path / "bentoml"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    before = runtime_wheel(package).data
    (package / "__init__.py").chmod(0o777)
    os.utime(package / "__init__.py", (1, 1))
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"x")
    (package / ".swap").write_bytes(b"x")
    assert runtime_wheel(package).data == before
    (package / "__init__.py").write_text("x = 2\n")
    assert runtime_wheel(package).data != before


def test_requirements_of_the_runtime() -> None:
    plain = runtime_requirements()
    assert any(line.startswith("pydantic") for line in plain)
    assert not any("extra" in line or line.startswith(("bentoml", "docker")) for line in plain)
    more = set(runtime_requirements(frozenset({"all", "unknown"}))) - set(plain)
    assert any(line.startswith("docker") for line in more)
    assert not any("extra" in line or line.startswith("bentoml") for line in more)


def test_an_image_gets_what_serves_and_not_what_builds() -> None:
    names = {line.split(">")[0] for line in runtime_requirements()}
    assert {"uvicorn", "uvloop", "pydantic"} <= names
    assert "uv" not in names


def test_the_readme_is_no_part_of_what_runs() -> None:
    with zipfile.ZipFile(io.BytesIO(runtime_wheel().data)) as wheel:
        metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
    assert "Name: bentoml\n" in metadata
    assert "\n\n" not in metadata
