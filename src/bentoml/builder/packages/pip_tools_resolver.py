"""The resolver that uses pip-tools: `pip-compile`, for the machine that it runs on and no other."""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

from ...exceptions import BentoMLException, MissingDependencyException
from ...process import CommandFailed, run
from .lock import LockRequest
from .uv_resolver import temporary

__all__ = ["PipToolsResolver"]

_TIMEOUT = 1800.0
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_BLOCK = re.compile(r"^\S.*\n(?:[ \t].*\n)*", re.MULTILINE)
_TRACEBACK = re.compile(
    r"^Traceback .*\n(?:[ \t].*\n)+(?:\S.*\n\n(?:During|The above) .*\n\n)?", re.MULTILINE
)  # of pip, which shows the way to its last line and nothing else


class PipToolsResolver:
    """Resolve with pip-tools; ``env`` is the environment that it runs in, and pip's own configuration counts.

    What it cannot do is refused: other platforms and Python versions, packages assigned to indexes, working offline. Of
    each package it locks the hashes of all files, also of those for other machines.
    """

    def __init__(
        self, env: Mapping[str, str], scratch: Callable[[], AbstractContextManager[Path]] = temporary
    ) -> None:
        self._env = env
        self._scratch = scratch

    def resolve(self, request: LockRequest) -> str:
        """Return the pinned requirements with their hashes.

        Raises:
            BentoMLException: there is no solution, or the request is one that pip-tools cannot answer.
        """
        _check(request)
        with self._scratch() as folder:
            lines = [*request.requirements, *(wheel.requirement for wheel in request.wheels)]
            lines.extend(["-c constraints.txt"] if request.constraints else [])
            (folder / "requirements.in").write_text("".join(f"{line}\n" for line in lines))
            (folder / "constraints.txt").write_text("".join(f"{line}\n" for line in request.constraints))
            (folder / "requirements.txt").write_text(request.preferred)
            try:
                run(_command(request), cwd=folder, env={**self._env, **_indexes(request)}, timeout=_TIMEOUT)
            except CommandFailed as e:
                said = _TRACEBACK.sub("", e.output.replace(str(folder), ".")).strip()
                raise BentoMLException(f"pip-tools cannot resolve the requirements:\n{said}") from e
            return _pins((folder / "requirements.txt").read_text(), request)


def _check(request: LockRequest) -> None:
    machine, version = platform.machine(), f"{sys.version_info.major}.{sys.version_info.minor}"
    reasons = [
        (find_spec("piptools") is None, ""),
        (
            sys.platform != "linux" or machine != request.platform.machine,
            f"is `{sys.platform}` on `{machine}`",
        ),
        (version != request.python_version, f"has Python {version}"),
        (("musl" in request.platform.libc) != _is_musl(), "has another C library"),
    ]
    if reasons[0][0]:
        raise MissingDependencyException(
            "`python.resolver: pip-tools` needs pip-tools; run `pip install 'bentoml[pip-tools]'`"
        )
    if said := " and ".join(words for is_so, words in reasons[1:] if is_so):
        raise BentoMLException(
            f"pip-tools resolves for the machine that it runs on, which {said}; the bento needs Python "
            f"{request.python_version} on {request.platform}: take `python.resolver: uv`"
        )
    if request.sources.indexes or request.offline or request.no_deps:
        what = (
            "`[[tool.uv.index]]`"
            if request.sources.indexes
            else "`--offline`"
            if request.offline
            else "`--no-deps`"
        )
        raise BentoMLException(f"pip-tools knows nothing of {what}; take `python.resolver: uv`")


def _is_musl() -> bool:
    return "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE"))


def _command(request: LockRequest) -> list[str]:
    indexes = request.indexes
    return [
        *(
            sys.executable,
            "-m",
            "piptools",
            "compile",
            "requirements.in",
            "--output-file",
            "requirements.txt",
            "--quiet",
        ),
        *(
            "--generate-hashes",
            "--allow-unsafe",
            "--strip-extras",
            "--no-header",
            "--no-annotate",
            "--no-emit-index-url",
        ),
        *(
            "--no-emit-find-links",
            "--no-emit-trusted-host",
            "--no-emit-options",
            "--resolver",
            "backtracking",
        ),
        *("--pip-args", "--only-binary=:all:" + (" --no-index" if indexes.no_index else "")),
        *(["--upgrade"] if request.refresh else []),
        *(["--pre"] if request.prereleases else []),
        *(word for link in indexes.find_links for word in ("--find-links", link)),
        *(word for host in indexes.trusted_host for word in ("--trusted-host", host)),
    ]


def _indexes(request: LockRequest) -> dict[str, str]:
    """Return the environment that names the indexes: their URLs may hold credentials of pip's."""
    indexes = request.indexes
    return {
        **({"PIP_INDEX_URL": indexes.index_url} if indexes.index_url else {}),
        **({"PIP_EXTRA_INDEX_URL": " ".join(indexes.extra_index_url)} if indexes.extra_index_url else {}),
        **({"PIP_CERT": indexes.cert} if indexes.cert else {}),
    }


def _pins(text: str, request: LockRequest) -> str:
    """Return the pins as a lock holds them; `bentoml` is not among them, as the bento brings its own."""
    own = {wheel.name: f"{wheel.name}=={wheel.version}\n" for wheel in request.wheels}
    found = {}
    for block in _BLOCK.findall(text):
        match = _NAME.match(block)
        name = re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""
        if name and name != "bentoml":
            found[name] = own.get(name, block)
    return "".join(found[name] for name in sorted(found))
