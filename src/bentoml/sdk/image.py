"""Image: what has to lie under a service in its container, said in the service's own code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Self

from ..exceptions import BentoMLConfigException

__all__ = ["DISTROS", "Image"]

DISTROS = ("debian", "alpine", "ubi8", "amazonlinux")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_PATH = re.compile(r"[^\s\x00-\x1f\x7f'\"\\$]+")
_FORBIDDEN = ("/etc", "/proc")


class Image:
    """Say what the image of a service is made of; each method adds to it and returns the image itself.

    It counts when the bento is built; what the build file says beside it is added, and goes before it where both name one value.
    """

    def __init__(
        self,
        base_image: str = "",
        distro: str = "debian",
        python_version: str = "",
        commands: Sequence[str] = (),
        lock_python_packages: bool = True,
        pack_git_packages: bool = True,
        python_requirements: str = "",
        post_commands: Sequence[str] = (),
        build_include_paths: Sequence[str] = (),
    ) -> None:
        if distro not in DISTROS and not base_image:
            raise BentoMLConfigException(
                f"distro `{distro}` has no image of its own: take one of {', '.join(f'`{d}`' for d in DISTROS)}, or give a `base_image`"
            )
        self.base_image = base_image
        self.distro = distro
        self.python_version = python_version
        self.lock_python_packages = lock_python_packages
        self.pack_git_packages = pack_git_packages
        self.commands = [_command(command) for command in commands]
        self.post_commands = [_command(command) for command in post_commands]
        self.build_include_paths: list[str] = []
        self.requirements: list[str] = python_requirements.splitlines()
        self.packages: list[str] = []  # of the system
        self.pyprojects: list[str] = []
        self.lock_file = ""
        self.scripts: dict[str, str] = {}
        self.bytecode = False
        self.build_include(*build_include_paths)

    def python_packages(self, *packages: str) -> Self:
        """Install Python packages: requirements, options of pip such as ``--index-url URL``, git URLs, wheels of the project.

        Raises:
            BentoMLConfigException: none is given, or a command is to run after the packages already.
        """
        if not packages:
            raise BentoMLConfigException("`python_packages()` needs at least one package")
        self._before_post_commands()
        for package in packages:
            if _CONTROL.search(package) or "\n" in package or not package.strip():
                raise BentoMLConfigException(f"{package!r} is no requirement: it is one line of text")
        self.requirements.extend(packages)
        return self

    def requirements_file(self, file_path: str) -> Self:
        """Install what a requirements file of the project names."""
        self._before_post_commands()
        self.requirements.append(f"-r {_path(file_path)}")
        return self

    def pyproject_toml(self, file_path: str = "pyproject.toml") -> Self:
        """Install the ``dependencies`` of a ``pyproject.toml``."""
        self._before_post_commands()
        self.pyprojects.append(_path(file_path))
        return self

    def uv_lock(self, file_path: str = "uv.lock") -> Self:
        """Install what the project's ``uv.lock`` has locked for the dependencies of its ``pyproject.toml``."""
        self._before_post_commands()
        self.lock_file = _path(file_path)
        self.pyprojects.append(str(PurePosixPath(self.lock_file).with_name("pyproject.toml")))
        return self

    def system_packages(self, *packages: str) -> Self:
        """Install packages of the distribution; they are there before any command runs."""
        if self.distro not in DISTROS:
            raise BentoMLConfigException(
                f"nobody knows how `{self.distro}` installs packages: write it as `run(...)`"
            )
        self.packages.extend(packages)
        return self

    def run(self, command: str) -> Self:
        """Run a command in the image: before the Python packages, or after them if some were named already."""
        target = self.post_commands if self._has_python else self.commands
        target.append(_command(command))
        return self

    def run_script(self, script: str) -> Self:
        """Run a script of the project in the image, as `run` does a command."""
        path = _path(script)
        name = f"script__{hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()}"
        self.scripts[name] = path
        return self.run(f"chmod +x ./env/docker/{name} && ./env/docker/{name}")

    def build_include(self, *file_paths: str) -> Self:
        """Have files of the project in the image before the Python packages are installed, which may need them."""
        self.build_include_paths.extend(_path(path) for path in file_paths)
        return self

    def compile(self) -> Self:
        """Have the bytecode of Python and its packages in the image, so that a container starts sooner."""
        self.bytecode = True
        return self

    def declared(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return dict(vars(self))

    @property
    def _has_python(self) -> bool:
        return bool(self.requirements or self.pyprojects)

    def _before_post_commands(self) -> None:
        if self.post_commands:
            raise BentoMLConfigException(
                "Can't separate adding python requirements: name all Python packages before the commands that run after them"
            )


def _command(command: str) -> str:
    if not command.strip() or _CONTROL.search(command):
        raise BentoMLConfigException(f"{command!r} is no command: it is text without control characters")
    return command


def _path(path: str) -> str:
    """Return the path of a file of the project; the build makes sure that it is there."""
    pure = PurePosixPath(path)
    hidden = any(part.startswith(".") for part in pure.parts)
    if pure.is_absolute() or hidden or not _PATH.fullmatch(path) or path.startswith(_FORBIDDEN):
        raise BentoMLConfigException(
            f"`{path}` is not a file of the project: its path is relative, without `..`, blanks and hidden folders"
        )
    return str(pure)
