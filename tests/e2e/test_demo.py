"""`scripts/demo` does what the README says, in the engine that the tests run with."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.engine
def test_demo() -> None:
    done = subprocess.run(
        ["scripts/demo"], cwd=ROOT, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recognised = [float(p) for p in re.findall(r"held-back images: ([\d.]+)% recognised", done.stdout)]
    assert len(recognised) == 2, "the bento and the image both answer"
    assert min(recognised) > 95
    assert recognised[0] == recognised[1], "the image answers as the bento does"
