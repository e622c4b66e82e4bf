"""A package of source that builds without an index: its build backend lies beside it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "{name}"
version = "{version}"
"""

_BACKEND = """\
import os, time, zipfile

def build_wheel(out, config_settings=None, metadata_directory=None):
    name = "{module}-{version}-{tag}.whl"
    info = "{module}-{version}.dist-info/"
    with zipfile.ZipFile(os.path.join(out, name), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(info + "RECORD", "")
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{requires}")
        archive.writestr(info + "WHEEL", f"Wheel-Version: 1.0\\nGenerator: at {{time.time_ns()}}\\nRoot-Is-Purelib: true\\nTag: {tag}\\n")
        archive.write("{module}.py")
        archive.write("run.sh")
    return name
"""


def package(
    folder: Path,
    name: str = "demo",
    *,
    version: str = "1.0",
    value: int = 1,
    requires: str = "",
    tag: str = "py3-none-any",
) -> Path:
    """Write a package whose wheel is another file each time that it is built, unless somebody sees to it."""
    module = name.replace("-", "_")
    needs = f"Requires-Dist: {requires}\\n" if requires else ""
    values = {"name": name, "module": module, "version": version, "requires": needs, "tag": tag}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(_PROJECT.format(**values))
    (folder / "backend.py").write_text(_BACKEND.format(**values))
    (folder / f"{module}.py").write_text(f"VALUE = {value}\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


def repository(folder: Path) -> str:
    """Make the folder a git repository with all of its files in one commit, on `main`, and return the commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "more")
    return git(folder, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as somebody whom no configuration of this machine describes."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": "x@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
