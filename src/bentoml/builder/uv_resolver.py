"""The resolver that uses uv: `uv pip compile` for the target machine, with hashes."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..exceptions import BentoMLException
from ..process import CommandFailed, run
from .lock import LockRequest
from .uv_command import uv_command, uv_environment, uv_options

__all__ = ["UvResolver"]

_TIMEOUT = 900.0
_PLACE = re.compile(r" in `requirements\.in` at position \d+")  # of a file that nobody has seen
# A package that requires `bentoml` must not bring another one than the wheel in the bento: a marker that never holds
# takes it out of every resolution.
_OVERRIDES = "bentoml ; python_version < '0'\n"


class UvResolver:
    """Resolve with uv; ``env`` is the environment that it runs in (proxies, its cache, its own ``UV_*`` settings)."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def resolve(self, request: LockRequest) -> str:
        """Return the pinned requirements with their hashes.

        Only wheels are considered: the image is put together without running anything in it, so nothing could be built.
        """
        with tempfile.TemporaryDirectory(prefix="bentoml-lock-") as name:
            folder = Path(name)
            (folder / "requirements.in").write_text("\n".join(request.requirements) + "\n")
            (folder / "overrides.txt").write_text(_OVERRIDES)
            # uv keeps the versions that it finds in its output file.
            (folder / "requirements.txt").write_text(request.preferred)
            try:
                run(
                    self._command(request),
                    cwd=folder,
                    env=uv_environment(request.indexes, self._env),
                    timeout=_TIMEOUT,
                )
            except CommandFailed as e:
                raise BentoMLException(_explain(request, e.output)) from e
            return (folder / "requirements.txt").read_text()

    def _command(self, request: LockRequest) -> list[str]:
        return [
            *(
                uv_command(),
                "pip",
                "compile",
                "requirements.in",
                "--output-file",
                "requirements.txt",
                "--quiet",
            ),
            *("--override", "overrides.txt", "--generate-hashes", "--no-header", "--no-annotate"),
            *("--only-binary", ":all:", "--python", sys.executable),
            *("--python-version", request.python_version, "--python-platform", str(request.platform)),
            *(["--upgrade"] if request.refresh else []),
            *uv_options(request.indexes),
        ]


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
