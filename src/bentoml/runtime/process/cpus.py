"""How many processors this process may use: what `workers="cpu_count"` stands for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["cpu_count"]


def cpu_count(root: Path = Path("/")) -> int:
    """Return the number of processors by affinity and by control group (v1 and v2), rounded down, at least 1.

    ``root`` is where ``/proc`` and ``/sys`` are looked for.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([affinity, *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Yield each limit on the way from this process's control group up to the root: the smallest one holds."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            places = _upwards(mount, group)
            yield from (quota for place in places for quota in _quota_v2(_text(place / "cpu.max")))
        elif "cpu" in controllers.split(","):
            for place in [*_upwards(mount / "cpu", group), *_upwards(mount / controllers, group)]:
                quota, period = (_text(place / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
                yield from _quota_v2(f"{quota.strip()} {period}")


def _upwards(mount: Path, group: str) -> list[Path]:
    """Return the folders of a group and its parents; in a container only the mount itself may be there."""
    inside = PurePosixPath(group.lstrip("/"))
    return [mount / part for part in [inside, *inside.parents] if ".." not in part.parts]


def _quota_v2(text: str) -> list[float]:
    match text.split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period):
            return [int(quota) / int(period)]
        case _:  # `max`, -1 or no such file: no limit
            return []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
