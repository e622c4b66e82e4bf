"""The real torch, whose build for CPUs has an environment of its own: too large for the one that all tests share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_tensors_of_torch() -> None:
    folder = ROOT / ".cache" / "torch"
    subprocess.run([ROOT / "scripts" / "environment", folder, "test-torch"], check=True)
    command = [
        str(folder / "bin" / "python"),
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/sdk/torch_cases.py",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
