"""`bentoml.monitor`: the files of a worker, what each line says, and what happens when they cannot be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from starlette.testclient import TestClient
from tests.collector import collector

import bentoml
from bentoml.exceptions import BentoMLConfigException, BentoMLException
from bentoml.monitoring import MonitorBase
from bentoml.sdk.configuration.sections import Monitoring
from bentoml.sdk.monitoring.monitor import close_monitors, use_monitoring
from bentoml.sdk.monitoring.monitor_files import FileMonitor


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    use_monitoring(Monitoring(), tmp_path)
    yield tmp_path / "monitoring"
    use_monitoring(Monitoring(), Path())


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def one_row(name: str = "iris", **options: Any) -> None:
    with bentoml.monitor(name, **options) as m:
        m.log(2.0, name="x", role="feature", data_type="numerical")
        m.log(4.0, name="p", role="prediction", data_type="numerical")


def test_rows_and_columns(folder: Path) -> None:
    one_row()
    one_row()
    rows = lines(folder / "iris" / "data" / "data.1.log")
    assert [list(row) for row in rows] == [["x", "p", "timestamp", "request_id", "trace_id"]] * 2
    assert (rows[0]["x"], rows[0]["p"], rows[0]["request_id"]) == (2.0, 4.0, None)
    assert datetime.fromisoformat(rows[0]["timestamp"]).tzinfo is not None
    (schema,) = lines(folder / "iris" / "schema" / "schema.1.log")
    assert schema == {
        "meta_data": {"bento_name": "not available", "bento_version": "not available"},
        "columns": [
            {"name": "x", "role": "feature", "type": "numerical"},
            {"name": "p", "role": "prediction", "type": "numerical"},
        ],
    }


def test_batches_tables_and_kinds_of_values(folder: Path) -> None:
    with bentoml.monitor("many") as m:
        m.log_batch(np.array([1.5, 2.5]), name="x", role="feature", data_type="numerical")
        m.log_batch([np.array([1, 2]), [3]], name="s", role="feature", data_type="numerical_sequence")
        m.log_batch(["a", Path("b")], name="y", role="target", data_type="categorical")
    with bentoml.monitor("many") as m:
        schema = [
            {"name": "x", "role": "feature", "type": "numerical"},
            {"name": "y", "role": "target", "type": "categorical"},
        ]
        m.log_table([[1, "c"], [2, "d"], [float("nan"), "e"]], schema)
    rows = lines(folder / "many" / "data" / "data.1.log")
    assert [(r["x"], r.get("s"), r["y"]) for r in rows] == [
        (1.5, [1, 2], "a"),
        (2.5, [3], "b"),
        (1, None, "c"),
        (2, None, "d"),
        (None, None, "e"),
    ]
    assert len(lines(folder / "many" / "schema" / "schema.1.log")) == 2  # the columns have changed


def test_each_value_of_a_line_may_hold_line_breaks(folder: Path) -> None:
    with bentoml.monitor("text") as m:
        m.log("a\nb\u2028\x00", name="x\ny", role="feature", data_type="categorical")
    (row,) = (folder / "text" / "data" / "data.1.log").read_bytes().split(b"\n")[:-1]
    assert json.loads(row)["x\ny"] == "a\nb\u2028\x00"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param((1, "x", "input", "numerical"), "`input`; there are feature", id="role"),
        pytest.param((1, "x", "feature", "number"), "`number`; there are numerical", id="type"),
        pytest.param((1, "trace_id", "feature", "numerical"), "`trace_id`", id="reserved"),
    ],
)
def test_what_a_column_cannot_be(arguments: Any, message: str, folder: Path) -> None:
    with pytest.raises(BentoMLException, match=message) as raised, bentoml.monitor("iris") as m:
        m.log(*arguments)
    assert raised.value.error_code == 500  # it is the service's code that is wrong, not who called it
    assert not folder.exists()


def test_columns_of_different_lengths_are_refused(folder: Path) -> None:
    with pytest.raises(BentoMLException, match="`x` has 2, `y` has 1"), bentoml.monitor("iris") as m:
        m.log_batch([1, 2], name="x", role="feature", data_type="numerical")
        m.log(1, name="y", role="feature", data_type="numerical")
    assert not folder.exists()


def test_a_block_that_fails_writes_nothing(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), bentoml.monitor("iris") as m:
        m.log(1, name="x", role="feature", data_type="numerical")
        1 / 0  # noqa: B018
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../up", "/etc", "a/b", "", ".hidden", "a\n"])
def test_names_that_are_no_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(BentoMLException):
        one_row(name)
    assert list(tmp_path.iterdir()) == []


def test_disabled_is_nothing(tmp_path: Path) -> None:
    use_monitoring(Monitoring(enabled=False), tmp_path)
    one_row()
    assert list(tmp_path.iterdir()) == []


def test_log_path(tmp_path: Path) -> None:
    use_monitoring(Monitoring(options={"log_path": "elsewhere"}), tmp_path)
    one_row()
    one_row(monitor_options={"log_path": str(tmp_path / "absolute")})
    for place in ("elsewhere", "absolute"):
        assert len(lines(tmp_path / place / "iris" / "data" / "data.1.log")) == 1


def test_threads_do_not_mix_rows(folder: Path) -> None:
    def work(number: int) -> None:
        for _ in range(50):
            with bentoml.monitor("busy") as m:
                m.log_batch([number] * 3, name="x", role="feature", data_type="numerical")
                m.log_batch([str(number)] * 3, name="y", role="target", data_type="categorical")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = lines(folder / "busy" / "data" / "data.1.log")
    assert len(rows) == 8 * 50 * 3
    assert all(str(row["x"]) == row["y"] for row in rows)


OTHER = """
import sys
from pathlib import Path
import bentoml
from bentoml.sdk.monitoring.monitor import use_monitoring
from bentoml.sdk.configuration.sections import Monitoring
from tests.collector import collector
use_monitoring(Monitoring(), Path(sys.argv[1]))
with bentoml.monitor("iris") as m:
    m.log("theirs", name="x", role="feature", data_type="categorical")
"""


def test_two_servers_write_to_files_of_their_own(folder: Path) -> None:
    one_row()
    subprocess.run([sys.executable, "-c", OTHER, str(folder.parent)], check=True)
    one_row()
    assert len(lines(folder / "iris" / "data" / "data.1.log")) == 2
    (theirs,) = lines(folder / "iris" / "data" / "data.1-2.log")
    assert theirs["x"] == "theirs"
    close_monitors()
    subprocess.run([sys.executable, "-c", OTHER, str(folder.parent)], check=True)
    assert len(lines(folder / "iris" / "data" / "data.1.log")) == 3  # a file that nobody has is gone on with


def test_the_file_of_another_day_is_put_aside(folder: Path) -> None:
    data = folder / "iris" / "data"
    for _ in range(2):
        one_row()
        close_monitors()
        day = datetime(2020, 1, 31, 12).timestamp()
        os.utime(data / "data.1.log", (day, day))
    one_row()
    assert sorted(path.name for path in data.iterdir()) == [
        "data.1.log",
        "data.1.log.2020-01-31",
        "data.1.log.2020-01-31-2",
    ]
    assert [len(lines(path)) for path in data.iterdir()] == [1, 1, 1]
    assert date.fromtimestamp((data / "data.1.log").stat().st_mtime) == date.today()


def test_a_disk_that_is_full_is_logged_once_and_fails_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "monitoring" / "iris" / "schema"
    folder.mkdir(parents=True)
    (folder / "schema.1.log").symlink_to("/dev/full")
    for _ in range(3):
        one_row()
    (record,) = [r for r in caplog.records if "monitor `iris` cannot write" in r.message]
    assert "No space left" in record.message
    assert record.exc_info is None or record.exc_info[0] is None


def test_a_line_that_cannot_be_written_whole_is_not_there_in_part(tmp_path: Path) -> None:
    script = (
        "import resource, sys, signal\nfrom pathlib import Path\n"
        "from collections import deque\nfrom bentoml.sdk.monitoring.monitor_files import FileMonitor\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "m = FileMonitor('m', root=Path(sys.argv[1]), worker=1)\n"
        "m.export_data({'x': deque(['short'])})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: m.export_data({'x': deque(['long' * 100])})\n"
        "except OSError as e: print('refused')\n"
        "m.export_data({'x': deque(['again'])})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"
    assert [r["x"] for r in lines(tmp_path / "monitoring/m/data/data.1.log")] == ["short", "again"]


class Own(MonitorBase):
    """A monitor of the user's own."""

    seen: list[Any] = []  # noqa: RUF012  # for the test to look at

    def export_schema(self, columns_schema: dict[str, dict[str, str]]) -> None:
        self.seen.append((self.name, self.options, list(columns_schema)))

    def export_data(self, datas: dict[str, deque[Any]]) -> None:
        if self.options.get("fail"):
            raise RuntimeError("not today")
        self.seen.append({name: list(values) for name, values in datas.items() if name in "xp"})


@pytest.mark.parametrize("wanted", [Own, f"{__name__}:Own", f"{__name__}.Own"])
def test_a_class_of_the_users_own(wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Own.__module__])
    Own.seen.clear()
    one_row(monitor_class=wanted, monitor_options={"to": "x"})
    assert Own.seen == [("iris", {"to": "x"}, ["x", "p"]), {"x": [2.0], "p": [4.0]}]


def test_an_error_of_the_users_class_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    one_row(monitor_class=Own, monitor_options={"fail": True})
    assert "RuntimeError: not today" in caplog.text


def test_a_class_that_is_not_there() -> None:
    with pytest.raises(BentoMLConfigException, match=r"`nowhere\.Monitor`"):
        one_row(monitor_class="nowhere.Monitor")


def test_options_that_are_not_known() -> None:
    with pytest.raises(BentoMLConfigException, match="`log_config_file`, `log_path`, and not `log_dir`"):
        one_row(monitor_options={"log_dir": "x"})


def test_a_logging_configuration_of_the_users_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "log.yaml").write_text(
        "version: 1\ndisable_existing_loggers: false\n"
        "handlers: {out: {class: logging.FileHandler, filename: %s}}\n"
        "loggers: {bentoml_monitor_data: {level: INFO, handlers: [out]}}\n" % (tmp_path / "out.log")
    )
    one_row(monitor_options={"log_config_file": "log.yaml"})
    (row,) = lines(tmp_path / "out.log")
    assert row["x"] == 2.0
    with pytest.raises(BentoMLConfigException, match=r"none\.yaml"):
        FileMonitor("x", root=tmp_path, worker=1, log_config_file="none.yaml")


def test_rows_have_the_ids_of_their_request(tmp_path: Path) -> None:
    @bentoml.service(monitoring={"options": {"log_path": str(tmp_path / "of-service")}})
    class Monitored:
        @bentoml.api
        def sync(self) -> str:
            one_row()
            return "x"

        @bentoml.api
        async def asynchronous(self) -> str:
            one_row()
            return "x"

    service: Any = Monitored
    trace = "0af7651916cd43dd8448eb211c80319c"
    with TestClient(service.to_asgi()) as client:
        ids = [
            client.post(path, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}).headers
            for path in ("/sync", "/asynchronous")
        ]
    rows = lines(tmp_path / "of-service" / "iris" / "data" / "data.1.log")
    assert [row["request_id"] for row in rows] == [str(int(h["x-bentoml-request-id"], 16)) for h in ids]
    assert {row["trace_id"] for row in rows} == {str(int(trace, 16))}


def test_rows_are_sent_to_a_collector() -> None:
    with collector() as otlp:
        one_row(monitor_class="otlp", monitor_options={"endpoint": otlp.url, "headers": {"x-key": "k"}})
        close_monitors()
        (received,) = otlp.received
    path, headers, body = received
    assert (path, headers["x-key"]) == ("/v1/logs", "k")
    (resource,) = ExportLogsServiceRequest.FromString(body).resource_logs
    schema, row = (record for scope in resource.scope_logs for record in scope.log_records)
    assert json.loads(schema.body.string_value)["columns"][0]["name"] == "x"
    assert json.loads(row.body.string_value)["p"] == 4.0
    assert ("monitor_name", "iris") in {(a.key, a.value.string_value) for a in row.attributes}
