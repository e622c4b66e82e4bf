"""Free memory: given back when nobody is being answered, once for each time that somebody was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bentoml.process import run
from bentoml.runtime.process.free_memory import FreeMemory

HOLDS = """
from pathlib import Path
from bentoml.runtime.process.free_memory import give_back

def resident():
    return next(int(l.split()[1]) for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmRSS"))

blocks = [b"x" * (100_000 + i) for i in range(400)]
last = blocks.pop()  # lies behind all others: the heap cannot become shorter by itself
blocks.clear()
before = resident()
give_back()
print(before - resident())
"""


def test_each_burst_of_requests_is_followed_by_one_giving_back() -> None:
    given: list[str] = []
    memory = FreeMemory(lambda: given.append("back"))
    for requests, busy in [(0, False), (5, True), (9, True), (9, False), (9, False), (12, False)]:
        memory.pulse(requests, busy=busy)
    assert given == ["back", "back"]


@pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc, and the C library of others has no such call"
)
def test_what_is_free_goes_back_to_the_system(tmp_path: Path) -> None:
    script = tmp_path / "holds.py"
    script.write_text(HOLDS)
    kilobytes = int(run([sys.executable, str(script)]))
    assert kilobytes > 30_000
