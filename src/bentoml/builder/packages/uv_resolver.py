"""The resolver that uses uv: `uv pip compile` for the target machine, with hashes."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from ...exceptions import BentoMLException
from ...process import CommandFailed, run
from .hashes import without_hashes
from .lock import LockRequest
from .packed_wheel import PackedWheel
from .uv_command import uv_command, uv_environment, uv_options
from .uv_sources import UvSources

__all__ = ["UvResolver", "temporary"]

_TIMEOUT = 900.0
_SHOWN = 25  # lines of what uv says
_PLACE = re.compile(r" in `requirements\.in` at position \d+")  # of a file that nobody has seen
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # as uv writes it
_PROJECT = "bentoml-lock"
_OUTPUT = (
    "--output-file",
    "requirements.txt",
    "--override",
    "overrides.txt",
    "--constraint",
    "constraints.txt",
)
_NAME_FILES = ("--output-file", "pylock.toml", "--no-deps", "--generate-hashes")
# A package that requires `bentoml` must not bring another one than the wheel in the bento: a marker that never holds
# takes it out of every resolution.
_OVERRIDES = "bentoml ; python_version < '0'\n"


@contextmanager
def temporary() -> Iterator[Path]:
    """Make a folder in the system's own place for what is temporary."""
    with tempfile.TemporaryDirectory(prefix="bentoml-lock-") as name:
        yield Path(name)


class UvResolver:
    """Resolve with uv; ``env`` is the environment that it runs in (proxies, its cache, its own ``UV_*`` settings).

    ``scratch`` makes a folder that vanishes when its block ends.
    """

    def __init__(
        self, env: Mapping[str, str], scratch: Callable[[], AbstractContextManager[Path]] = temporary
    ) -> None:
        self._env = env
        self._scratch = scratch

    def resolve(self, request: LockRequest) -> str:
        """Return the pinned requirements, each with the hashes of the wheels that the target machine could install.

        Only wheels are considered: the image is put together without running anything in it, so nothing could be built.
        What else an index holds of a version, for other machines, says nothing about this bento and may grow any day.
        """
        with self._scratch() as folder:
            asked = _write_requirements(request, folder)
            (folder / "overrides.txt").write_text(_OVERRIDES)
            (folder / "constraints.txt").write_text("".join(f"{line}\n" for line in request.constraints))
            # uv keeps the versions that it finds in its output file.
            pins = folder / "requirements.txt"
            pins.write_text(request.preferred)
            self._compile(request, folder, (asked, *_OUTPUT), *_wishes(request))
            resolved, own = _apart(pins.read_text(), request.wheels)
            exact = request._replace(requirements=tuple(resolved.splitlines()), wheels=())
            self._compile(request, folder, (_write_requirements(exact, folder), *_NAME_FILES))
            locked = _with_hashes(resolved, tomllib.loads((folder / "pylock.toml").read_text()))
            return _merged(locked, own)

    def _compile(self, request: LockRequest, folder: Path, step: Sequence[str], *options: str) -> None:
        command = [
            *(uv_command(), "pip", "compile", *step, *options, "--quiet", "--no-header", "--no-annotate"),
            *("--only-binary", ":all:", "--python", sys.executable),
            *("--python-version", request.python_version, "--python-platform", str(request.platform)),
            *(["--offline"] if request.offline else []),
            *uv_options(request.indexes),
        ]
        try:
            run(command, cwd=folder, env=uv_environment(request.indexes, self._env), timeout=_TIMEOUT)
        except CommandFailed as e:
            raise BentoMLException(_explain(request, e.output.replace(str(folder), "."))) from e


def _merged(pins: str, own: Sequence[str]) -> str:
    """Return pins with those of a bento's own wheels between them, in the order of names."""
    blocks = [*re.findall(r"^\S.*\n(?:[ \t].*\n)*", pins, re.MULTILINE), *(f"{line}\n" for line in own)]
    return "".join(sorted(blocks))


def _wishes(request: LockRequest) -> list[str]:
    return [
        *(["--upgrade"] if request.refresh else []),
        *(["--prerelease", "allow"] if request.prereleases else []),
        *(["--no-deps"] if request.no_deps else []),
    ]


def _write_requirements(request: LockRequest, folder: Path) -> str:
    """Write what has to be resolved and return the name of the file: only a project can assign packages to indexes."""
    lines = [*request.requirements, *(wheel.requirement for wheel in request.wheels)]
    if not request.sources.indexes:
        (folder / "requirements.in").write_text("".join(f"{line}\n" for line in lines))
        (folder / "uv.toml").write_text("")  # what the folders above hold is not meant
        return "requirements.in"
    (folder / "pyproject.toml").write_text(_pyproject(lines, request.sources))
    return "pyproject.toml"


def _pyproject(lines: Sequence[str], sources: UvSources) -> str:
    """Return a project with these requirements and indexes; strings of JSON are strings of TOML."""
    asked = [without_hashes(line) for line in lines]
    tables = [
        f'[project]\nname = "{_PROJECT}"\nversion = "0"\ndependencies = {json.dumps(asked, ensure_ascii=False)}\n'
    ]
    for index in sources.indexes:
        flags = "".join(f"{flag} = true\n" for flag in ("explicit", "default") if getattr(index, flag))
        flags += f"format = {json.dumps(index.format)}\n"
        tables.append(
            f"[[tool.uv.index]]\nname = {json.dumps(index.name)}\nurl = {json.dumps(index.url)}\n{flags}"
        )
    for package in dict.fromkeys(source.package for source in sources.packages):
        tables.extend(
            f"[[tool.uv.sources.{json.dumps(package)}]]\nindex = {json.dumps(source.index)}\n"
            + (f"marker = {json.dumps(source.marker)}\n" if source.marker else "")
            for source in sources.packages
            if source.package == package
        )
    return "\n".join(tables)


def _apart(pins: str, wheels: Sequence[PackedWheel]) -> tuple[str, list[str]]:
    """Return the pins that an index answers, and those of the bento's own wheels as ``name==version``."""
    own = {wheel.name: f"{wheel.name}=={wheel.version}" for wheel in wheels}
    lines = pins.splitlines(keepends=True)
    named = [(match[0] if (match := _NAME.match(line)) else "", line) for line in lines]
    return "".join(line for name, line in named if name not in own), [
        own[name] for name, _ in named if name in own
    ]


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
        *_PLACE.sub("", output.strip()).replace(_PROJECT, "the bento").splitlines()[:_SHOWN],
    ]
    if "wheels" in output and not request.offline:
        lines.append(
            "an image is made of wheels: ask for a version that has one for this platform, build the wheel yourself and "
            "name its folder in `python.find_links`, or let an engine build it in the image, with `python.lock_packages: false`"
        )
    elif "unsatisfiable" in output:
        lines.append("ask for other versions; what `bentoml` itself needs is installed with them")
    return "\n".join(lines)
