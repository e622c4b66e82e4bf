"""Installation: uv unpacks wheels for the target in a folder, which is read as the packages that become layers."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

from ....exceptions import BentoMLException
from ....process import CommandFailed, run
from ....store.digest import Digest
from ...packages.uv_command import uv_command
from .python import NoWheels, PythonRequest, PythonTarget
from .venv import Group, read_groups, read_needs

__all__ = ["install"]

logger = logging.getLogger(__name__)

_NO_WHEEL = re.compile(r"\b([A-Za-z0-9][\w.-]*(?:==[\w.+!-]+)?) has no (?:usable )?wheels")


def install(
    request: PythonRequest, scratch: Path, *, offline: bool
) -> tuple[list[Group], dict[str, list[str]]]:
    """Install what is asked for under ``scratch``; return its layers, and the libraries that it needs of a base.

    Raises:
        NoWheels: a package has no wheel for the target.
        BentoMLException: a package cannot be fetched, or has another hash.
    """
    _install(request, scratch, offline)
    place, target = scratch / "venv", request.target
    beside = {_name(wheel) for wheel in request.wheels}
    groups = read_groups(place, target.version, target.interpreter, apart=beside)
    return groups, read_needs(place, target.version)


def _install(request: PythonRequest, scratch: Path, offline: bool) -> None:
    """Unpack the wheels under ``scratch/venv``; what uv has in its cache needs no network."""
    wheels = scratch / "wheels.txt"
    wheels.write_text("".join(map(_wheel_line, request.wheels)))
    target, (env, options) = request.target, request.sources()
    argv = [
        uv_command(), "pip", "install", "--quiet", "--no-config", "--prefix", str(scratch / "venv"),
        "--python", sys.executable, "--python-version", target.version, "--python-platform", target.platform,
        *(("--no-deps", "--require-hashes") if request.is_locked else ()), "--only-binary", ":all:", "--no-compile-bytecode",
        "--link-mode", "hardlink", "-r", str(request.requirements), "-r", str(wheels), *options,
    ]  # fmt: skip
    try:
        run([*argv, "--offline"], cwd=request.folder, env=env)
        return
    except CommandFailed as e:
        if offline:
            raise _not_installed(target, e) from e
        logger.debug("not all packages are in uv's cache: %s", e)
    try:
        run(argv, cwd=request.folder, env=env)
    except CommandFailed as e:
        raise _not_installed(target, e) from e


def _wheel_line(wheel: Path) -> str:
    return f"{_name(wheel)} @ {wheel.absolute().as_uri()} --hash={Digest.of_file(wheel)}\n"


def _name(wheel: Path) -> str:
    return wheel.name.partition("-")[0]


def _not_installed(target: PythonTarget, failure: CommandFailed) -> BentoMLException:
    where = f"Python {target.version} on {target.platform}"
    if names := sorted(set(_NO_WHEEL.findall(failure.output))):
        packages = ", ".join(f"`{name}`" for name in names)
        return NoWheels(
            f"there is no wheel of {packages} for {where}; choose a version that has one, or name in "
            f"`docker.base_image` an image in which it can be used\n{failure.output.strip()}",
            [name.partition("==")[0] for name in names],
        )
    return BentoMLException(f"the packages for {where} cannot be installed\n{failure.output.strip()}")
