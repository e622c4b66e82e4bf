"""The real torch and tensorflow, whose builds for CPUs have environments of their own: too large for the one that all tests share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize("library", ["torch", "tensorflow"])
def test_tensors(library: str) -> None:
    folder = ROOT / ".cache" / library
    subprocess.run([ROOT / "scripts" / "environment", folder, f"test-{library}"], check=True)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/sdk/values/{library}_cases.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
