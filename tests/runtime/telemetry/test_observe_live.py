"""A server of several processes as it is observed: its metrics, its log and its websockets."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from ..running import Running, get, running, until

SERVICE = """
import asyncio, os, signal
from typing import AsyncIterator
import bentoml
from fastapi import FastAPI, WebSocket
from prometheus_client import Counter, Gauge

app = FastAPI()
counted = Counter("mine", "What I count", ["kind"])
living = Gauge("living", "Workers", multiprocess_mode="livesum")

@bentoml.service(workers=2, logging={"json": True}, traffic={"timeout": 2})
@bentoml.asgi_app(app, path="/v1")
class Live:
    def __init__(self) -> None:
        living.set(1)

    @bentoml.api
    def count(self) -> int:
        counted.labels(kind="a").inc()
        return os.getpid()

    @bentoml.api
    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @bentoml.api
    async def stream(self) -> AsyncIterator[str]:
        for i in range(1000):
            yield str(i)
            await asyncio.sleep(0.02)

    @app.websocket("/ws")
    async def talk(self, websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="b")
        async for text in websocket.iter_text():
            if text == "close":
                return await websocket.close(4001, "bye")
            await websocket.send_text(text)
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "service.py").write_text(SERVICE)
    argv = [sys.executable, "-m", "bentoml", "serve", "service:Live", "--port", "0"]
    with running(argv, cwd=folder, env={"BENTOML_HOME": str(folder / "home")}) as server:
        yield server, server.url()


def samples(url: str) -> dict[tuple[str, str], float]:
    """Return the value of each sample by its name and what differs between those of one name."""
    found = {}
    for family in text_string_to_metric_families(get(url, "/metrics")):
        for s in family.samples:
            labels = (s.labels.get(key, "") for key in ("endpoint", "http_response_code", "kind", "le"))
            found[s.name, ",".join(labels)] = s.value
    return found


def ask(url: str, path: str) -> str:
    request = urllib.request.Request(url + path, b"{}", {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        text: str = response.read().decode()
    return text


@pytest.mark.slow
def test_metrics_of_all_workers_stay_exact_when_one_dies(live: tuple[Running, str]) -> None:
    server, url = live
    pids = {ask(url, "/count") for _ in range(40)}
    assert len(pids) == 2
    for path in ("/nothing", "/nothing/else"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(url + path, timeout=60)
    before = samples(url)
    assert before["bentoml_service_request_total", "/count,200,,"] == 40
    assert before["mine_total", ",,a,"] == 40
    assert before["living", ",,,"] == 2
    assert before["bentoml_service_request_total", "other,404,,"] == 2
    with pytest.raises(OSError):
        ask(url, "/die")
    server.said(r"worker \d \(process \d+\) is ready")
    for _ in range(10):
        ask(url, "/count")
    after = samples(url)
    assert after["bentoml_service_request_total", "/count,200,,"] == 50
    assert after["mine_total", ",,a,"] == 50
    assert after["living", ",,,"] == 2
    grows = [k for k in before if k[0].endswith(("_total", "_count", "_bucket", "_sum"))]
    assert grows and all(after[key] >= before[key] for key in grows)
    assert after["bentoml_service_request_in_progress", "/die,,,"] == 0


@pytest.mark.slow
def test_a_stream_is_in_progress_until_its_client_goes(live: tuple[Running, str]) -> None:
    _, url = live
    request = urllib.request.Request(f"{url}/stream", b"{}", {"content-type": "application/json"})
    key = "bentoml_service_request_in_progress", "/stream,,,"
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read(1)
        time.sleep(2.1)  # longer than an answer may take to begin
        assert samples(url)[key] == 1
    until(lambda: samples(url)[key] == 0, lambda: "the stream is still in progress")
    assert samples(url)["bentoml_service_request_total", "/stream,200,,"] == 1


@pytest.mark.slow
def test_websockets(live: tuple[Running, str]) -> None:
    _, url = live
    address = url.replace("http", "ws")
    with connect(f"{address}/v1/ws", subprotocols=["a", "b"]) as talk:  # type: ignore[list-item]  # a NewType of str
        assert talk.subprotocol == "b"
        for n in range(1000):
            talk.send(str(n))
        assert [talk.recv() for _ in range(1000)] == [str(n) for n in range(1000)]
        assert samples(url)["bentoml_service_websocket_connections", "/v1/ws,,,"] == 1
        talk.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            talk.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "bye")
    with pytest.raises(InvalidStatus):
        connect(f"{address}/nothing")
    gone = connect(f"{address}/v1/ws", subprotocols=["b"])  # type: ignore[list-item]  # as above
    gone.socket.close()  # without a word
    until(
        lambda: samples(url)["bentoml_service_websocket_connections", "/v1/ws,,,"] == 0,
        lambda: "the websocket is still counted",
    )
    assert samples(url)["bentoml_service_websocket_data_sent_count", "/v1/ws,,,"] == 1000


@pytest.mark.slow
def test_each_line_of_the_log_is_an_object(live: tuple[Running, str]) -> None:
    server, url = live
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{url}/forged%0a%7b%22level%22%3a%22x%22%7d", timeout=60)
    server.said("forged")
    after_start = server.text().partition('{"time"')
    lines = [json.loads(line) for line in (after_start[1] + after_start[2]).splitlines()]
    assert {line["level"] for line in lines} <= {"INFO", "ERROR", "WARNING"}
    (forged,) = [line for line in lines if "forged" in line.get("path", "")]
    assert forged["path"] == '/forged\n{"level":"x"}'
    assert re.fullmatch(r"[0-9a-f]{32}", forged["trace_id"])


@pytest.mark.slow
def test_what_prometheus_itself_says(live: tuple[Running, str]) -> None:
    """Another reader than the client library's: no name, type or label that it would not take."""
    _, url = live
    text = get(url, "/metrics")
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert all(re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name) for name in names)
    heads = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))


@pytest.mark.engine
def test_promtool_has_nothing_to_say(live: tuple[Running, str]) -> None:
    _, url = live
    ask(url, "/count")
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=get(url, "/metrics"), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


PROMETHEUS = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: live
    static_configs: [{{targets: ["{target}"]}}]
"""


@pytest.mark.engine
def test_prometheus_scrapes_it(live: tuple[Running, str], tmp_path: Path) -> None:
    _, url = live
    ask(url, "/count")
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS.format(target=url.removeprefix("http://")))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    argv = [
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address={address}",
    ]
    with running(argv) as prometheus:
        prometheus.said("Server is ready to receive web requests")
        query = "/api/v1/query?query=bentoml_service_request_total%7Bendpoint%3D%22/count%22%7D"

        def scraped() -> bool:
            result = json.loads(get(f"http://{address}", query))["data"]["result"]
            return any(float(one["value"][1]) > 0 for one in result)

        until(scraped, lambda: prometheus.text())
        assert prometheus.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
