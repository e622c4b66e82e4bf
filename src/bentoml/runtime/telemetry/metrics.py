"""What is counted for each request, in cells that all workers of a server share."""

from __future__ import annotations

import json
import tempfile
import time
from bisect import bisect_left
from collections.abc import MutableSequence, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .cells import Cells

__all__ = ["DEFAULT_BUCKETS", "OTHER", "Family", "Metrics", "Socket", "row_key"]

DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0)
OTHER = "other"  # the endpoint of every path that the service does not have: clients cannot make new series

STARTED = "started"  # [requests that came]                                         by endpoint
REQUEST = "request"  # [seconds, requests up to each bucket's bound, the rest]      by endpoint and status
LAST = "last"  # [time of the last request]
SOCKET = (
    "socket"  # [opened, closed, messages received, bytes received, messages sent, bytes sent]  by endpoint
)


@dataclass(frozen=True)
class Family:
    """Say whose numbers these are; ``buckets`` are the upper bounds of the durations, without infinity."""

    namespace: str
    runner_name: str
    service_name: str
    service_version: str
    buckets: tuple[float, ...] = DEFAULT_BUCKETS

    def to_json(self) -> str:
        """Return one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Family:
        """Read what ``to_json`` wrote."""
        data = json.loads(line)
        return cls(**{**data, "buckets": tuple(data["buckets"])})


def row_key(kind: str, *labels: str) -> str:
    """Return the key of a row of cells."""
    return json.dumps([kind, *labels])


class Socket:
    """Count what happens on a websocket; without a place, for nobody."""

    def __init__(
        self, values: MutableSequence[float] | memoryview[float] | None = None, place: int = 0
    ) -> None:
        self._values = [0.0] * 6 if values is None else values
        self._place = place

    def opened(self) -> None:
        """Count a connection."""
        self._values[self._place] += 1.0

    def closed(self) -> None:
        """Count its end."""
        self._values[self._place + 1] += 1.0

    def received(self, size: int) -> None:
        """Count a message from the client."""
        self._values[self._place + 2] += 1.0
        self._values[self._place + 3] += size

    def sent(self, size: int) -> None:
        """Count a message to the client."""
        self._values[self._place + 4] += 1.0
        self._values[self._place + 5] += size


class Metrics:
    """Count the requests of one service in this worker; without a folder, for itself alone."""

    def __init__(self, family: Family, folder: Path | None, endpoints: Sequence[str]) -> None:
        self._own = None if folder else tempfile.TemporaryDirectory(prefix="bentoml-metrics-")
        self.folder = folder or Path(self._own.name if self._own else "")
        self._bounds = family.buckets
        self._cells = Cells(self.folder, family.to_json())
        self._values = self._cells.values
        self._last = self._cells.row(row_key(LAST), 1)
        self._started: dict[str, int] = {}
        self._requests: dict[tuple[str, int], int] = {}
        for endpoint in endpoints:
            self.started(endpoint)
            for status in (200, 500):
                self._request(endpoint, status)
        self._forget_unfinished()

    def started(self, endpoint: str) -> int:
        """Return the place that ``begin`` takes."""
        place = self._started.get(endpoint)
        if place is None:
            place = self._started[endpoint] = self._cells.row(row_key(STARTED, endpoint), 1)
        return place

    def begin(self, place: int) -> None:
        """Count a request that came."""
        self._values[place] += 1.0

    def end(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        place = self._requests.get((endpoint, status))
        if place is None:
            place = self._request(endpoint, status)
        values = self._values
        values[place] += seconds
        values[place + 1 + bisect_left(self._bounds, seconds)] += 1.0
        values[self._last] = time.time()

    def socket(self, endpoint: str) -> Socket:
        """Return what counts one websocket of an endpoint."""
        return Socket(self._values, self._cells.row(row_key(SOCKET, endpoint), 6))

    def close(self) -> None:
        """Leave the numbers to the next worker."""
        self._cells.close()
        if self._own is not None:
            self._own.cleanup()

    def _request(self, endpoint: str, status: int) -> int:
        place = self._cells.row(row_key(REQUEST, endpoint, str(status)), len(self._bounds) + 2)
        self._requests[endpoint, status] = place
        return place

    def _forget_unfinished(self) -> None:
        """Take what a worker that died had begun as never begun: it will not be answered."""
        finished: dict[str, float] = {}
        for key, (place, size) in self._cells.rows.items():
            kind, *labels = json.loads(key)
            if kind == SOCKET:
                self._values[place] = self._values[place + 1]
            if kind == REQUEST:
                finished[labels[0]] = finished.get(labels[0], 0.0) + sum(
                    self._values[place + 1 : place + size]
                )
        for endpoint, number in finished.items():
            self._values[self.started(endpoint)] = number
