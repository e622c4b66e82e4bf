"""Locks of other tools as a source of pins: `uv.lock`, and `pylock.toml` (PEP 751)."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...exceptions import BentoMLConfigException, BentoMLException, InvalidArgument
from ...paths import under
from ...process import CommandFailed, run
from ..build_file.documents import read_text
from .requirements import read_requirements
from .uv_command import uv_command

__all__ = ["read_lock"]

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_MAX_BYTES = 64 << 20
_TIMEOUT = 120.0


def read_lock(project: Path, name: str, required: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the pins of a lock as requirement lines, for every platform, with markers and hashes.

    ``required`` are the requirements that the lock was made of, where that is known.

    Raises:
        BentoMLConfigException: it cannot be read, or is not what the project asks for any more; the message says what to run.
    """
    try:
        file = under(project, name)
    except InvalidArgument as e:
        raise BentoMLConfigException(f"`python.lock_file`: {e}") from e
    if not file.is_file():
        raise BentoMLConfigException(f"`python.lock_file`: `{name}` is not there")
    if file.name == "uv.lock":
        return _uv_lock(file, env)
    return _pylock(file, required)


def _uv_lock(file: Path, env: Mapping[str, str]) -> tuple[str, ...]:
    folder = file.parent
    if not (folder / "pyproject.toml").is_file():
        raise BentoMLConfigException(
            f"`{file.name}` has no `pyproject.toml` beside it, of which it would be the lock"
        )
    try:
        _uv(["lock", "--check", "--offline"], folder, env)
    except CommandFailed as e:
        if "Python requirement" in e.output:
            raise BentoMLConfigException(
                "`uv.lock` cannot be read here: run `bentoml` with a Python that `requires-python` of `pyproject.toml` "
                f"allows\n{_last(e.output)}"
            ) from e
        raise BentoMLConfigException(
            f"`uv.lock` is not what `pyproject.toml` asks for; run `uv lock` and commit it\n{_last(e.output)}"
        ) from e
    try:
        text = _uv(
            ["export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-editable", "--no-header",
             "--no-annotate", "--format", "requirements.txt"],
            folder, env,
        )  # fmt: skip
    except CommandFailed as e:
        raise BentoMLConfigException(f"`uv.lock` cannot be read:\n{_last(e.output)}") from e
    return read_requirements("uv.lock", lambda _: text).lines


def _uv(arguments: Sequence[str], folder: Path, env: Mapping[str, str]) -> str:
    argv = [uv_command(), *arguments, "--quiet", "--python", sys.executable]
    return run(
        argv, cwd=folder, env={**env, "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never"}, timeout=_TIMEOUT
    )


def _last(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-6:])


def _pylock(file: Path, required: Sequence[str]) -> tuple[str, ...]:
    try:
        data = tomllib.loads(read_text(file, max_bytes=_MAX_BYTES))
    except (ValueError, RecursionError) as e:
        raise BentoMLConfigException(f"`{file.name}`: {e}") from e
    version = data.get("lock-version")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise BentoMLConfigException(f"`{file.name}`: its `lock-version` is {version!r}; 1.0 is known")
    packages = data.get("packages")
    if not isinstance(packages, list) or not all(isinstance(package, dict) for package in packages):
        raise BentoMLConfigException(f"`{file.name}` has no list of `packages`")
    try:
        lines = tuple(line for package in packages for line in _pinned(package))
    except BentoMLException as e:
        raise BentoMLConfigException(f"`{file.name}`: {e}") from e
    there = {_normalized(str(package["name"])) for package in packages}
    if missing := sorted({name for line in required if (name := _name(line)) not in there}):
        raise BentoMLConfigException(
            f"`{file.name}` is not what the project asks for: it has no {', '.join(f'`{name}`' for name in missing)}; make it "
            f"anew, as with `uv export --format pylock.toml --output-file {file.name}`"
        )
    return read_requirements(file.name, lambda _: "\n".join(lines)).lines


def _pinned(package: Mapping[str, Any]) -> Iterator[str]:
    """Yield the requirement line of a package of PEP 751, with the hashes of its wheels."""
    name, version = package.get("name"), package.get("version")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BentoMLException(f"a package is called {name!r}")
    marker = str(package.get("marker") or "")
    if "extras" in marker or "dependency_groups" in marker:
        raise BentoMLException(
            f"`{name}` is there for some extras or groups only (`{marker}`); lock what is to be installed"
        )
    condition = f" ; {marker}" if marker else ""
    if "vcs" in package:
        yield _vcs(name, package["vcs"]) + condition
    elif "directory" in package:
        directory = package["directory"]
        if str(directory.get("path", ".")) not in (".", "./"):  # the project itself is in the bento as it is
            yield f"{name} @ ./{directory['path'].removeprefix('./')}" + condition
    elif "archive" in package:
        archive = package["archive"]
        yield f"{name} @ {archive['url'] if 'url' in archive else './' + archive['path']}{condition}{_hashes([archive])}"
    elif not isinstance(version, str):
        raise BentoMLException(f"`{name}` has no version")
    else:
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        yield f"{name}=={version}{condition}{_hashes(files)}"


def _vcs(name: str, vcs: Mapping[str, Any]) -> str:
    if vcs.get("type") != "git" or not vcs.get("url") or not vcs.get("commit-id"):
        raise BentoMLException(
            f"`{name}` comes from `{vcs.get('type')}`; only git repositories with a URL are known"
        )
    fragment = f"#subdirectory={vcs['subdirectory']}" if vcs.get("subdirectory") else ""
    return f"{name} @ git+{vcs['url']}@{vcs['commit-id']}{fragment}"


def _hashes(files: Sequence[Mapping[str, Any]]) -> str:
    found = sorted({str(file["hashes"]["sha256"]) for file in files if "sha256" in file.get("hashes", {})})
    return "".join(f" --hash=sha256:{digest}" for digest in found)


def _name(line: str) -> str:
    match = _NAME.match(line)
    return _normalized(match[0]) if match else ""


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
