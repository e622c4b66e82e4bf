from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bentoml.builder.docker.dockerfile import DockerfileSpec, render
from bentoml.builder.engines.plain_dockerfile import without_mounts
from bentoml.exceptions import BentoMLException

CACHE = "--mount=type=cache,target=/var/cache/apt,sharing=locked"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (f"RUN {CACHE} apt update\n", "RUN trap 'rm -rf /var/cache/apt/*' EXIT; apt update\n"),
        (f"run  {CACHE} \\\n  --mount=type=cache,dst=/b \\\n  x && \\\n  y\n", "RUN trap 'rm -rf /var/cache/apt/* /b/*' EXIT; x && \\\n  y\n"),
        (f"RUN {CACHE} --network=none x\nRUN y\n", "RUN --network=none trap 'rm -rf /var/cache/apt/*' EXIT; x\nRUN y\n"),
        (f'RUN {CACHE} ["/x", "y"]\n', 'RUN ["/x", "y"]\n'),
        ("RUN --network=none x\n", "RUN --network=none x\n"),
        (f"# RUN {CACHE} x\nFROM a\n", f"# RUN {CACHE} x\nFROM a\n"),
        (f"RUN echo \\\n# a comment \\\n\n RUN {CACHE} x\n", f"RUN echo \\\n# a comment \\\n\n RUN {CACHE} x\n"),
        (f"RUN {CACHE} x", "RUN trap 'rm -rf /var/cache/apt/*' EXIT; x"),
        (f"RUN echo 'a\u2028RUN {CACHE} x'\n", f"RUN echo 'a\u2028RUN {CACHE} x'\n"),
        ("", ""),
    ],
    ids=str,
)  # fmt: skip
def test_caches_are_left_out(written: str, plain: str) -> None:
    assert without_mounts(written) == plain


@pytest.mark.parametrize(
    "mount", ["type=secret,id=T", "type=ssh", "type=tmpfs,target=/x", "target=/x,from=y"]
)
def test_what_is_no_cache_needs_buildkit(mount: str) -> None:
    with pytest.raises(BentoMLException, match=rf"`--mount={mount}`.*BuildKit"):
        without_mounts(f"FROM x\nRUN --mount={mount} y\n")


def test_our_own_dockerfile() -> None:
    text = without_mounts(render(DockerfileSpec("x", system_packages=("git",))))
    assert "--mount" not in text
    assert text.count("\nRUN trap") == 2


def test_what_a_cache_would_have_kept_is_gone_whatever_the_step_ends_in(tmp_path: Path) -> None:
    for end in ("true", "true # comment", "sleep 0 &", "false"):
        cache = tmp_path / "cache"
        cache.mkdir(exist_ok=True)
        step = without_mounts(f"RUN --mount=type=cache,target={cache} touch {cache}/x; {end}")
        done = subprocess.run(["sh", "-c", step.removeprefix("RUN ")])
        assert done.returncode == (end == "false")
        assert list(cache.iterdir()) == []
