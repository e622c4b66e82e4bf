"""The number of processors, from made-up /proc and /sys trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bentoml.runtime.process.cpus import cpu_count

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        pytest.param("", {}, ALL, id="no control groups"),
        pytest.param("0::/", {"cpu.max": "max 100000"}, ALL, id="v2 without a limit"),
        pytest.param("0::/", {"cpu.max": "100000 100000"}, 1, id="v2 in a container"),
        pytest.param(
            "0::/a/b", {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, 1, id="v2 of a parent"
        ),
        pytest.param("0::/", {"cpu.max": "50000 100000"}, 1, id="half a processor counts as one"),
        pytest.param("0::/", {"cpu.max": f"{ALL + 5}00000 100000"}, ALL, id="never more than there are"),
        pytest.param("0::/../x", {"cpu.max": "100000 100000"}, 1, id="a group outside the mount"),
        pytest.param(
            "3:cpu,cpuacct:/docker/x",
            {"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            1,
            id="v1 in a container",
        ),
        pytest.param(
            "3:cpu,cpuacct:/x",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            1,
            id="v1 on a host",
        ),
        pytest.param(
            "3:cpu:/", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, ALL, id="v1 -1"
        ),
        pytest.param(
            "3:cpuset:/", {"cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "1"}, ALL, id="not cpu"
        ),
    ],
)
def test_cpu_count(tmp_path: Path, group: str, files: dict[str, str], expected: int) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(group + "\n" if group else "")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cpu_count(tmp_path) == expected


def test_this_machine() -> None:
    assert 1 <= cpu_count() <= ALL
