"""The resolver that uses uv: `uv pip compile` for the target machine, with hashes."""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..exceptions import BentoMLException
from ..process import CommandFailed, run
from .lock import LockRequest
from .uv_command import uv_command, uv_environment, uv_options

__all__ = ["UvResolver"]

_TIMEOUT = 900.0
_PLACE = re.compile(r" in `requirements\.in` at position \d+")  # of a file that nobody has seen
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # as uv writes it
_RESOLVE = ("requirements.in", "--output-file", "requirements.txt", "--override", "overrides.txt")
_NAME_FILES = ("requirements.txt", "--output-file", "pylock.toml", "--no-deps", "--generate-hashes")
# A package that requires `bentoml` must not bring another one than the wheel in the bento: a marker that never holds
# takes it out of every resolution.
_OVERRIDES = "bentoml ; python_version < '0'\n"


class UvResolver:
    """Resolve with uv; ``env`` is the environment that it runs in (proxies, its cache, its own ``UV_*`` settings)."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def resolve(self, request: LockRequest) -> str:
        """Return the pinned requirements, each with the hashes of the wheels that the target machine could install.

        Only wheels are considered: the image is put together without running anything in it, so nothing could be built.
        What else an index holds of a version, for other machines, says nothing about this bento and may grow any day.
        """
        with tempfile.TemporaryDirectory(prefix="bentoml-lock-") as name:
            folder = Path(name)
            (folder / "requirements.in").write_text("\n".join(request.requirements) + "\n")
            (folder / "overrides.txt").write_text(_OVERRIDES)
            # uv keeps the versions that it finds in its output file.
            (folder / "requirements.txt").write_text(request.preferred)
            upgrade = ["--upgrade"] if request.refresh else []
            self._compile(request, folder, _RESOLVE, *upgrade)
            self._compile(request, folder, _NAME_FILES)
            pins = (folder / "requirements.txt").read_text()
            return _with_hashes(pins, tomllib.loads((folder / "pylock.toml").read_text()))

    def _compile(self, request: LockRequest, folder: Path, step: Sequence[str], *options: str) -> None:
        command = [
            *(uv_command(), "pip", "compile", *step, *options, "--quiet", "--no-header", "--no-annotate"),
            *("--only-binary", ":all:", "--python", sys.executable),
            *("--python-version", request.python_version, "--python-platform", str(request.platform)),
            *uv_options(request.indexes),
        ]
        try:
            run(command, cwd=folder, env=uv_environment(request.indexes, self._env), timeout=_TIMEOUT)
        except CommandFailed as e:
            raise BentoMLException(_explain(request, e.output)) from e


def _with_hashes(pins: str, files: Mapping[str, Any]) -> str:
    """Return pins with the hashes that a lock of files (PEP 751) has for them."""
    hashes = {package["name"]: sorted(_hashes(package)) for package in files.get("packages", ())}
    lines: list[str] = []
    for pin in pins.splitlines():
        name = _NAME.match(pin)
        known = hashes.get(name[0], []) if name else []
        if not known:
            raise BentoMLException(
                f"the index gives no hash for `{pin}`; ask for a version of which it has one"
            )
        lines.append(" \\\n".join([pin, *(f"    --hash=sha256:{found}" for found in known)]) + "\n")
    return "".join(lines)


def _hashes(package: Mapping[str, Any]) -> set[str]:
    files = [*package.get("wheels", ()), *([package["archive"]] if "archive" in package else [])]
    return {file["hashes"]["sha256"] for file in files if "sha256" in file.get("hashes", {})}


def _explain(request: LockRequest, output: str) -> str:
    lines = [
        f"the requirements cannot be resolved for {request.platform} with Python {request.python_version}:",
        _PLACE.sub("", output.strip()),
    ]
    if "wheels" in output:
        lines.append(
            "an image is made of wheels: ask for a version that has one for this platform, or build the wheel yourself and "
            "name its folder in `python.find_links`"
        )
    return "\n".join(lines)
