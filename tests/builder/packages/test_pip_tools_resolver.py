"""pip-tools as the other resolver: what it can do, and that it says what it cannot."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest
from tests.builder.handmade import wheel

from bentoml.builder.packages.indexes import Indexes
from bentoml.builder.packages.lock import LockPlatform, LockRequest, lock_requirements
from bentoml.builder.packages.packed_wheel import packed_wheel
from bentoml.builder.packages.pip_tools_resolver import PipToolsResolver
from bentoml.builder.packages.uv_sources import NamedIndex, UvSources
from bentoml.exceptions import BentoMLException

HERE = LockPlatform.parse({"x86_64": "linux/amd64", "aarch64": "linux/arm64"}[platform.machine()])
ELSEWHERE = LockPlatform.parse({"x86_64": "linux/arm64", "aarch64": "linux/amd64"}[platform.machine()])
REQUEST = LockRequest(
    ("app",), f"{sys.version_info.major}.{sys.version_info.minor}", HERE, resolver="pip-tools"
)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (REQUEST._replace(platform=ELSEWHERE), "resolves for the machine that it runs on"),
        (REQUEST._replace(python_version="3.99"), "needs Python 3.99"),
        (REQUEST._replace(platform=HERE._replace(libc="unknown-linux-musl")), "has another C library"),
        (REQUEST._replace(offline=True), "knows nothing of `--offline`"),
        (
            REQUEST._replace(sources=UvSources((NamedIndex("a", "https://h"),))),
            r"knows nothing of `\[\[tool\.uv\.index\]\]`",
        ),
    ],
    ids=["machine", "python", "libc", "offline", "indexes"],
)
def test_what_it_cannot_do_is_refused(request_: LockRequest, said: str) -> None:
    with pytest.raises(BentoMLException, match=f"{said}.*`python.resolver: uv`"):
        PipToolsResolver({}).resolve(request_)


@pytest.mark.slow
def test_it_pins_with_hashes_and_without_addresses(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    for name, version in [("app", "1.0"), ("app", "2.0"), ("lib", "1.0"), ("bentoml", "1.4")]:
        wheel(folder, name, version)
    own = packed_wheel(wheel(tmp_path / "own", "own"), said="own")
    request = REQUEST._replace(
        requirements=("app", "lib", "bentoml"),
        wheels=(own,),
        constraints=("app<2",),
        indexes=Indexes(find_links=(str(folder),), no_index=True),
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    pins = lock_requirements(request, tmp_path / "bentofile.lock", PipToolsResolver(env))
    lines = [line.rstrip(" \\") for line in pins.splitlines() if not line.startswith(" ")]
    assert lines == ["app==1.0", "lib==1.0", "own==1.0"]
    assert pins.count("--hash=sha256:") == 2
    assert str(tmp_path) not in pins
    with pytest.raises(BentoMLException, match=r"(?s)pip-tools cannot resolve the requirements:.*none"):
        PipToolsResolver(env).resolve(request._replace(requirements=("none",)))
