"""The metrics of a queue, as Prometheus reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator

__all__ = ["Figures", "bucket_of"]

_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)

Total = tuple[str, str, int, int, float]  # api, status, bucket, number, seconds


def bucket_of(seconds: float) -> int:
    """Return which bucket a duration is counted in."""
    return bisect_left(_BOUNDS, seconds)


class Figures:
    """Write the metrics; ``namespace`` is how their names begin."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def page(self, totals: Iterable[Total], now: Iterable[tuple[str, str, int]]) -> str:
        """Return the page for what has ended so far, and for what is in the queue now."""
        ended: dict[tuple[str, str], list[tuple[int, int, float]]] = defaultdict(list)
        for api, status, bucket, number, seconds in totals:
            ended[api, status].append((bucket, number, seconds))
        return "".join([*self._ended(ended), *self._durations(ended), *self._now(now)])

    def _ended(self, ended: dict[tuple[str, str], list[tuple[int, int, float]]]) -> Iterator[str]:
        name = f"{self._namespace}_task_total"
        yield _head(name, "counter", "Total number of tasks that ended")
        for (api, status), rows in ended.items():
            yield f"{name}{_labels(api, status)} {sum(number for _, number, _ in rows)}\n"

    def _durations(self, ended: dict[tuple[str, str], list[tuple[int, int, float]]]) -> Iterator[str]:
        name = f"{self._namespace}_task_duration_seconds"
        yield _head(name, "histogram", "How long the last run of a task took, in seconds")
        for (api, status), rows in ended.items():
            if status == "canceled":
                continue
            for index, bound in enumerate([*map(repr, _BOUNDS), "+Inf"]):
                number = sum(n for bucket, n, _ in rows if bucket <= index)
                yield f"{name}_bucket{_labels(api, status, bound)} {number}\n"
            yield f"{name}_count{_labels(api, status)} {sum(number for _, number, _ in rows)}\n"
            yield f"{name}_sum{_labels(api, status)} {sum(seconds for _, _, seconds in rows)!r}\n"

    def _now(self, now: Iterable[tuple[str, str, int]]) -> Iterator[str]:
        name = f"{self._namespace}_tasks"
        yield _head(name, "gauge", "Tasks in the queue, with those whose results are kept")
        for api, status, number in now:
            yield f"{name}{_labels(api, status)} {number}\n"


def _head(name: str, kind: str, help: str) -> str:
    return f"# HELP {name} {help}\n# TYPE {name} {kind}\n"


def _labels(api: str, status: str, bound: str | None = None) -> str:
    endpoint = api.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    more = "" if bound is None else f',le="{bound}"'
    return f'{{endpoint="{endpoint}",status="{status}"{more}}}'
