"""The numbers at /metrics: exact over workers, never going back, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bentoml.runtime.telemetry.cells import Cells, read_rows
from bentoml.runtime.telemetry.metrics import OTHER, Family, Metrics
from bentoml.runtime.telemetry.metrics_page import render

FAMILY = Family("bentoml_service", "Iris", "iris", "v1", (0.1, 1.0))


def samples(folder: Path, *, shared: bool = True) -> dict[tuple[str, ...], float]:
    """Return each sample by its name and the labels that differ; one service has one time of its last request."""
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(render(folder, shared=shared)):
        for sample in family.samples:
            keys = ("endpoint", "http_response_code", "le") if "endpoint" in sample.labels else sample.labels
            name = (sample.name, *(sample.labels[k] for k in keys if k in sample.labels))
            assert name not in found
            found[name] = sample.value
    return found


def request(metrics: Metrics, endpoint: str, status: int, seconds: float) -> None:
    metrics.begin(metrics.started(endpoint))
    metrics.end(endpoint, status, seconds)


def test_names_labels_and_values(tmp_path: Path) -> None:
    metrics = Metrics(FAMILY, tmp_path, ["/a", "/b"])
    request(metrics, "/a", 200, 0.05)
    request(metrics, "/a", 200, 0.1)
    request(metrics, "/a", 200, 2.0)
    request(metrics, OTHER, 404, 0.5)
    metrics.begin(metrics.started("/b"))
    found = samples(tmp_path)
    assert found["bentoml_service_request_total", "/a", "200"] == 3
    assert found["bentoml_service_request_total", "/a", "500"] == 0
    assert found["bentoml_service_request_total", "/b", "200"] == 0
    assert found["bentoml_service_request_total", "other", "404"] == 1
    bucket = "bentoml_service_request_duration_seconds_bucket"
    assert [found[bucket, "/a", "200", le] for le in ("0.1", "1.0", "+Inf")] == [2, 2, 3]
    assert found["bentoml_service_request_duration_seconds_count", "/a", "200"] == 3
    assert found["bentoml_service_request_duration_seconds_sum", "/a", "200"] == pytest.approx(2.15)
    assert found["bentoml_service_request_in_progress", "/a"] == 0
    assert found["bentoml_service_request_in_progress", "/b"] == 1
    assert found["bentoml_service_last_request_timestamp_seconds", "Iris", "iris", "v1"] > 1.7e9
    assert (
        'bentoml_service_request_total{endpoint="/a",http_response_code="200",runner_name="Iris",'
        'service_name="iris",service_version="v1"} 3.0\n'
    ) in render(tmp_path, shared=True)
    metrics.close()


def test_labels_are_escaped(tmp_path: Path) -> None:
    family = Family("ns", 'a "b"\n\\c', "x", "y")
    metrics = Metrics(family, tmp_path, ["/a"])
    (first, *_) = text_string_to_metric_families(render(tmp_path, shared=True))
    assert first.samples[0].labels["runner_name"] == 'a "b"\n\\c'
    metrics.close()


def test_the_sum_over_workers_and_services(tmp_path: Path) -> None:
    other = Family("bentoml_service", "Other", "iris", "v1", (5.0,))
    workers = [
        Metrics(FAMILY, tmp_path, ["/a"]),
        Metrics(FAMILY, tmp_path, ["/a"]),
        Metrics(other, tmp_path, ["/o"]),
    ]
    for n, worker in enumerate(workers):
        for _ in range(n + 1):
            request(worker, "/o" if n == 2 else "/a", 200, 0.01)
    found = samples(tmp_path)
    assert found["bentoml_service_request_total", "/a", "200"] == 3
    assert found["bentoml_service_request_total", "/o", "200"] == 3
    assert found["bentoml_service_request_duration_seconds_bucket", "/o", "200", "5.0"] == 3
    assert render(tmp_path, shared=True).count("# TYPE bentoml_service_request_total counter") == 1
    for worker in workers:
        worker.close()


WORKER = """
import sys, time
from pathlib import Path
from bentoml.runtime.telemetry.metrics import Family, Metrics
metrics = Metrics(Family("bentoml_service", "Iris", "iris", "v1", (0.1, 1.0)), Path(sys.argv[1]), ["/a"])
for _ in range(1000):
    metrics.begin(metrics.started("/a"))
    metrics.end("/a", 200, 0.5)
metrics.begin(metrics.started("/a"))
print("done", flush=True)
time.sleep(60)
"""


def test_a_killed_worker_loses_nothing_and_its_file_goes_to_the_next_one(tmp_path: Path) -> None:
    for life in (1, 2):
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        with worker, worker.stdout:
            assert worker.stdout.readline() == b"done\n"
            assert samples(tmp_path)["bentoml_service_request_in_progress", "/a"] == 1
            os.kill(worker.pid, signal.SIGKILL)
        found = samples(tmp_path)
        assert found["bentoml_service_request_total", "/a", "200"] == 1000 * life
        assert found["bentoml_service_request_duration_seconds_sum", "/a", "200"] == 500 * life
        assert found["bentoml_service_request_in_progress", "/a"] == 0
    assert len(list(tmp_path.glob("*.index"))) == 1


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    metrics = Metrics(FAMILY, tmp_path, ["/a"])
    request(metrics, "/a", 200, 0.5)
    metrics.close()
    (index,) = tmp_path.glob("*.index")
    with open(index, "ab") as file:
        file.write(b'999 1 ["start')
    assert samples(tmp_path)["bentoml_service_request_total", "/a", "200"] == 1
    again = Metrics(FAMILY, tmp_path, ["/a"])
    request(again, "/a", 201, 0.5)
    assert samples(tmp_path)["bentoml_service_request_total", "/a", "200"] == 1
    assert samples(tmp_path)["bentoml_service_request_total", "/a", "201"] == 1
    again.close()


def test_rows_for_which_there_is_no_room_are_not_shown(tmp_path: Path) -> None:
    cells = Cells(tmp_path, "head")
    first = cells.row("big", (1 << 17) - 128)
    lost = cells.row("one more", 5)
    cells.values[lost + 4] += 1
    (rows,) = read_rows(tmp_path)
    assert rows.alive
    assert set(rows.rows) == {"big"}
    assert cells.values[first] == 0
    cells.close()


USER = """
import os, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from prometheus_client import Counter, Gauge
Counter("mine_total", "Mine").inc(2)
Gauge("alive", "Alive", multiprocess_mode="livesum").set(7)
"""


def test_the_users_own_metrics_of_all_workers(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run([sys.executable, "-c", USER, str(tmp_path)], check=True)
    found = samples(tmp_path)
    assert found["mine_total",] == 4
    assert ("alive",) not in found  # what only the living have is not summed over the dead
    assert ("mine_total",) not in samples(tmp_path, shared=False)


def test_without_workers_the_numbers_are_kept_for_the_process_alone(tmp_path: Path) -> None:
    metrics = Metrics(FAMILY, None, ["/a"])
    folder = metrics.folder
    request(metrics, "/a", 200, 0.5)
    assert samples(folder, shared=False)["bentoml_service_request_total", "/a", "200"] == 1
    metrics.close()
    assert not folder.exists()


def test_websockets_of_a_worker_that_died_are_open_no_more(tmp_path: Path) -> None:
    name = "bentoml_service_websocket"
    metrics = Metrics(FAMILY, tmp_path, [])
    for n in range(3):
        talk = metrics.socket("/ws")
        talk.opened()
        talk.received(10)
        talk.sent(n)
    talk.closed()
    assert samples(tmp_path)[f"{name}_connections", "/ws"] == 2
    metrics.close()
    assert samples(tmp_path)[f"{name}_connections", "/ws"] == 0
    again = Metrics(FAMILY, tmp_path, [])
    again.socket("/ws").opened()
    found = samples(tmp_path)
    assert found[f"{name}_connections", "/ws"] == 1
    assert (found[f"{name}_data_received_count", "/ws"], found[f"{name}_data_received_sum", "/ws"]) == (3, 30)
    assert (found[f"{name}_data_sent_count", "/ws"], found[f"{name}_data_sent_sum", "/ws"]) == (3, 3)
    again.close()
