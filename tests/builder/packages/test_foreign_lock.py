"""`uv.lock` and `pylock.toml` as a source of pins: for every platform, with hashes, and refused when they are stale."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.builder.handmade import wheel
from tests.builder.source_packages import package

from bentoml.builder.build_file.config import load_config
from bentoml.builder.packages.foreign_lock import read_lock
from bentoml.builder.packages.project import project_requirements
from bentoml.builder.packages.sources import PathSource
from bentoml.builder.packages.uv_command import uv_command
from bentoml.exceptions import BentoMLConfigException

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PYLOCK = f"""
lock-version = "1.0"
created-by = "x"

[[packages]]
name = "numpy"
version = "2.4.6"
wheels = [{{ name = "a.whl", hashes = {{ sha256 = "bb" }} }}, {{ name = "b.whl", hashes = {{ sha256 = "aa" }} }}]
sdist = {{ name = "numpy.tar.gz", hashes = {{ sha256 = "cc" }} }}

[[packages]]
name = "Colorama"
version = "0.4"
marker = "sys_platform == 'win32'"
wheels = [{{ name = "c.whl", hashes = {{ sha256 = "dd" }} }}]

[[packages]]
name = "demo"
vcs = {{ type = "git", url = "https://h/r", commit-id = "{COMMIT}", subdirectory = "py" }}

[[packages]]
name = "local"
directory = {{ path = "./libs/local" }}

[[packages]]
name = "me"
directory = {{ path = ".", editable = true }}

[[packages]]
name = "file"
archive = {{ url = "https://h/file-1.whl", hashes = {{ sha256 = "ee" }} }}
"""


def test_the_pins_of_a_pylock(tmp_path: Path) -> None:
    (tmp_path / "pylock.prod.toml").write_text(PYLOCK)
    assert read_lock(tmp_path, "pylock.prod.toml", ["numpy>=2", "colorama"], {}) == (
        "numpy==2.4.6 --hash=sha256:aa --hash=sha256:bb --hash=sha256:cc",
        "Colorama==0.4 ; sys_platform == 'win32' --hash=sha256:dd",
        f"demo @ git+https://h/r@{COMMIT}#subdirectory=py",
        "local @ ./libs/local",
        "file @ https://h/file-1.whl --hash=sha256:ee",
    )


def test_a_pylock_without_what_the_project_asks_for_is_stale(tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text(PYLOCK)
    with pytest.raises(BentoMLConfigException, match=r"it has no `scipy`; make it anew, as with `uv export"):
        read_lock(tmp_path, "pylock.toml", ["numpy", "SciPy>=1"], {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lock-version = '2.0'\npackages = []\n", "`lock-version` is '2.0'"),
        ("lock-version = 1\npackages = []\n", "`lock-version` is 1"),
        ("lock-version = '1.0'\n", "no list of `packages`"),
        ("lock-version = '1.0'\npackages = [1]\n", "no list of `packages`"),
        ("lock-version = '1.0'\n[[packages]]\nname = '--index-url x'\nversion = '1'\n", "a package is called"),
        ("lock-version = '1.0'\n[[packages]]\nname = 'a'\n", "`a` has no version"),
        ("lock-version = '1.0'\n[[packages]]\nname = 'a'\nversion = '1'\nmarker = \"'x' in extras\"\n", "extras or groups"),
        ("lock-version = '1.0'\n[[packages]]\nname = 'a'\nvcs = {type = 'hg'}\n", "only git repositories"),
        ("lock-version = '1.0'\n[[packages]]\nname = 'a'\ndirectory = {path = '../x'}\n", "leaves the project"),
        ("x = [", "pylock.toml"),
    ],
)  # fmt: skip
def test_a_pylock_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "pylock.toml").write_text(text)
    with pytest.raises(BentoMLConfigException, match=said):
        read_lock(tmp_path, "pylock.toml", [], {})


def test_a_lock_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BentoMLConfigException, match=r"`uv\.lock` is not there"):
        read_lock(tmp_path, "uv.lock", [], {})


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A project of uv whose packages come from a folder of wheels and from beside it, with its lock."""
    wheel(tmp_path / "wheels", "lib", "1.0")
    wheel(tmp_path / "wheels", "only_for_me", "1.0")
    folder = tmp_path / "project"
    package(folder / "libs" / "local", "local")
    (folder / "pyproject.toml").write_text(
        "[project]\nname = 'shop'\nversion = '1'\nrequires-python = '>=3.11'\ndependencies = ['lib', 'local']\n"
        "[tool.uv.sources]\nlocal = {path = 'libs/local'}\n"
        "[tool.uv]\nno-index = true\nfind-links = ['../wheels']\n"
        "[dependency-groups]\ndev = ['only-for-me']\n"
        "[tool.bentoml.build]\nservice = 'shop:Shop'\n"
    )
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    subprocess.run([uv_command(), "lock", "--quiet"], cwd=folder, env=env, check=True)
    return folder, env


def test_the_uv_lock_beside_a_pyproject_is_taken(project: tuple[Path, dict[str, str]]) -> None:
    folder, env = project
    found = project_requirements(folder, load_config(folder).python, env)
    assert "lib==1.0" in found.lines
    assert not any("only-for-me" in line for line in found.lines), "a group for development"
    assert "lib==1.0" in found.checked, (
        "its hashes are those that count; a folder of wheels has none in uv.lock"
    )
    assert [source.path for source in found.sources if isinstance(source, PathSource)] == ["./libs/local"]


def test_a_stale_uv_lock_is_refused_with_the_command_that_renews_it(
    project: tuple[Path, dict[str, str]],
) -> None:
    folder, env = project
    text = (folder / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(text.replace("'lib'", "'lib<1'"))
    with pytest.raises(
        BentoMLConfigException, match=r"is not what `pyproject\.toml` asks for; run `uv lock` and commit it"
    ):
        project_requirements(folder, load_config(folder).python, env)


def test_a_uv_lock_for_another_python_is_not_called_stale(project: tuple[Path, dict[str, str]]) -> None:
    folder, env = project
    for name in ("pyproject.toml", "uv.lock"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(">=3.11", ">=3.99"))
    with pytest.raises(BentoMLConfigException, match="run `bentoml` with a Python that `requires-python`"):
        project_requirements(folder, load_config(folder).python, env)


def test_a_uv_lock_without_its_project(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("version = 1\n")
    with pytest.raises(BentoMLConfigException, match=r"no `pyproject\.toml` beside it"):
        read_lock(tmp_path, "uv.lock", [], {})
