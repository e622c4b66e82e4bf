"""The page at ``/metrics``: the numbers of all workers in the text format of Prometheus, exact at the time of reading."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .cells import Rows, read_rows
from .metrics import LAST, REQUEST, SOCKET, STARTED, Family

__all__ = ["MEDIA_TYPE", "render", "rewritten"]

logger = logging.getLogger(__name__)

MEDIA_TYPE = b"text/plain; version=1.0.0; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


def render(folder: Path, *, shared: bool) -> str:
    """Return the page: the requests of each service that has files in the folder, then the user's own metrics.

    ``shared`` says whether the folder is that of all workers of a server.
    """
    families: dict[Family, list[Rows]] = defaultdict(list)
    for rows in read_rows(folder):
        families[Family.from_json(rows.head)].append(rows)
    namespaces: dict[str, list[_Totals]] = defaultdict(list)
    for family, files in families.items():
        namespaces[family.namespace].append(_Totals(family, files))
    pages = ["".join(_page(namespace, totals)) for namespace, totals in namespaces.items()]
    return "".join(pages) + _own_metrics(folder, shared)


async def rewritten(instance: object, page: str) -> str:
    """Return the page as the service's own ``__metrics__`` wants it, or as it is where that fails."""
    rewrite: Any = getattr(instance, "__metrics__", None)
    if rewrite is None:
        return page
    try:
        if inspect.iscoroutinefunction(rewrite):
            return str(await rewrite(page))
        return str(await asyncio.to_thread(rewrite, page))
    except Exception:  # the boundary of the user's code
        logger.exception("`__metrics__` failed; the page is shown without it")
        return page


class _Totals:
    """The numbers of one service, summed over its workers."""

    def __init__(self, family: Family, files: Iterable[Rows]) -> None:
        self.family = family
        self.requests: dict[tuple[str, str], list[float]] = {}
        self.in_progress: dict[str, float] = defaultdict(float)
        self.sockets: dict[
            str, list[float]
        ] = {}  # [open, messages received, bytes received, messages sent, bytes sent]
        self.last = 0.0
        for file in files:
            for key, cells in file.rows.items():
                self._add(json.loads(key), cells, file.alive)

    def _add(self, key: list[str], cells: tuple[float, ...], alive: bool) -> None:
        match key:
            case [kind, endpoint, status] if kind == REQUEST:
                known = self.requests.setdefault((endpoint, status), [0.0] * len(cells))
                self.requests[endpoint, status] = [a + b for a, b in zip(known, cells, strict=True)]
                self.in_progress[endpoint] -= sum(cells[1:]) if alive else 0.0
            case [kind, endpoint] if kind == STARTED:
                self.in_progress[endpoint] += cells[0] if alive else 0.0
            case [kind, endpoint] if kind == SOCKET:
                opened, closed, *data = cells
                known = self.sockets.setdefault(endpoint, [0.0] * 5)
                new = [opened - closed if alive else 0.0, *data]
                self.sockets[endpoint] = [a + b for a, b in zip(known, new, strict=True)]
            case [kind] if kind == LAST:
                self.last = max(self.last, cells[0])

    def labels(self, **more: str) -> Labels:
        family = self.family
        return tuple(
            sorted(
                {
                    **more,
                    "runner_name": family.runner_name,
                    "service_name": family.service_name,
                    "service_version": family.service_version,
                }.items()
            )
        )


def _page(namespace: str, services: list[_Totals]) -> Iterator[str]:
    name = f"{namespace}_request_total"
    yield _head(name, "counter", "Total number of HTTP requests")
    for s in services:
        for (endpoint, status), cells in s.requests.items():
            yield _sample(name, s.labels(endpoint=endpoint, http_response_code=status), sum(cells[1:]))
    name = f"{namespace}_request_duration_seconds"
    yield _head(name, "histogram", "API HTTP request duration in seconds")
    for s in services:
        for (endpoint, status), cells in s.requests.items():
            labels = s.labels(endpoint=endpoint, http_response_code=status)
            yield from _histogram(name, labels, s.family.buckets, cells)
    name = f"{namespace}_request_in_progress"
    yield _head(name, "gauge", "Total number of HTTP requests in progress now")
    for s in services:
        for endpoint, number in s.in_progress.items():
            yield _sample(name, s.labels(endpoint=endpoint), max(number, 0.0))
    name = f"{namespace}_last_request_timestamp_seconds"
    yield _head(name, "gauge", "Timestamp of the last HTTP request")
    for s in services:
        yield _sample(name, s.labels(), s.last)
    yield from _sockets(namespace, services)


def _sockets(namespace: str, services: list[_Totals]) -> Iterator[str]:
    name = f"{namespace}_websocket_connections"
    yield _head(name, "gauge", "Number of websocket connections that are open now")
    for s in services:
        for endpoint, values in s.sockets.items():
            yield _sample(name, s.labels(endpoint=endpoint), values[0])
    for first, which in ((1, "received"), (3, "sent")):
        name = f"{namespace}_websocket_data_{which}"
        yield _head(name, "summary", f"Bytes of websocket messages {which}")
        for s in services:
            for endpoint, values in s.sockets.items():
                labels = s.labels(endpoint=endpoint)
                yield _sample(f"{name}_count", labels, values[first])
                yield _sample(f"{name}_sum", labels, values[first + 1])


def _histogram(name: str, labels: Labels, bounds: tuple[float, ...], cells: list[float]) -> Iterator[str]:
    total = 0.0
    for bound, number in zip([*map(repr, bounds), "+Inf"], cells[1:], strict=True):
        total += number
        yield _sample(f"{name}_bucket", (*labels, ("le", bound)), total)
    yield _sample(f"{name}_count", labels, total)
    yield _sample(f"{name}_sum", labels, cells[0])


def _head(name: str, kind: str, help: str) -> str:
    return f"# HELP {name} {help}\n# TYPE {name} {kind}\n"


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{k}="{_escaped(v)}"' for k, v in labels)
    return f"{name}{{{inside}}} {value!r}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _own_metrics(folder: Path, shared: bool) -> str:
    """Return what the user's code counts with ``prometheus_client``, which is loaded only if that code has done so.

    Workers run it in its multiprocess mode, with its files in the same folder; without workers it is this process's own.
    """
    if not (any(folder.glob("*.db")) if shared else "prometheus_client" in sys.modules):
        return ""
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    if not shared:
        return generate_latest(REGISTRY).decode()
    for gauge in folder.glob("gauge_live*.db"):
        if not _is_alive(int(gauge.stem.rpartition("_")[2])):
            gauge.unlink(missing_ok=True)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]  # the library has no types here
    return generate_latest(registry).decode()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
