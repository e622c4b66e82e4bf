"""`bentoml serve` with real services in real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.runtime.running import DEADLINE, Running, refuses, running, until
from tests.support import Project

pytestmark = pytest.mark.slow

SERVICE = """
    import os, time
    from pathlib import Path
    import bentoml

    @bentoml.service
    class Worker:
        @bentoml.on_deployment
        def deploy() -> None:
            with open("deployed", "a") as marks:
                marks.write("once ")

        @bentoml.on_shutdown
        def stop(self) -> None:
            with open("stopped", "a") as marks:
                marks.write("once ")

        @bentoml.api
        def pid(self) -> int:
            return os.getpid()

        @bentoml.api
        def wait(self, seconds: float) -> str:
            Path("waiting").touch()
            end = time.monotonic() + seconds
            while time.monotonic() < end and not Path("go").exists():
                time.sleep(0.01)
            return "done"

        @bentoml.api
        def data(self) -> str:
            return Path("data.txt").read_text()
"""


def call(url: str, api: str, context: ssl.SSLContext | None = None, **arguments: Any) -> Any:
    address = urlsplit(url)
    connection: HTTPConnection = HTTPConnection(address.netloc, timeout=DEADLINE)
    if context is not None:
        connection = HTTPSConnection(address.netloc, timeout=DEADLINE, context=context)
    try:
        connection.request("POST", f"/{api}", json.dumps(arguments), {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read().decode()
        assert response.status == 200, body
        return json.loads(body) if response.getheader("content-type") == "application/json" else body
    finally:
        connection.close()


@contextmanager
def serve(project: Project, *arguments: str, cwd: Path | None = None, port: int = 0) -> Iterator[Running]:
    argv = [sys.executable, "-m", "bentoml", "serve", *arguments, "--port", str(port)]
    with running(argv, cwd=cwd or project.folder, env=project.env) as server:
        yield server


@pytest.fixture
def service(project: Project) -> Project:
    project.write(service_py=SERVICE, data_txt="the project's data")
    return project


@pytest.mark.parametrize(
    "target", ["service:Worker", "service.py:Worker", "service", ".", "./project", "{absolute}"]
)
def test_ways_to_name_a_service(service: Project, target: str) -> None:
    cwd = service.folder.parent if target == "./project" else service.folder
    with serve(service, target.format(absolute=service.folder), cwd=cwd) as server:
        assert call(server.url(), "data") == "the project's data"
        assert server.stop() == 0


def test_working_dir(service: Project) -> None:
    with serve(service, "service:Worker", "--working-dir", "project", cwd=service.folder.parent) as server:
        assert call(server.url(), "data") == "the project's data"


def test_hooks_run_once_and_all_workers_answer(service: Project) -> None:
    with serve(service, ".", "--workers", "3") as server:
        url = server.url()
        pids = Counter(call(url, "pid") for _ in range(60))
        assert set(pids) == set(server.pids())
        assert "(3 workers, Press CTRL+C to quit)" in server.text()
        assert server.stop() == 0
    assert (service.folder / "deployed").read_text() == "once "
    assert (service.folder / "stopped").read_text() == "once once once "


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_end_before_the_server(service: Project, number: signal.Signals) -> None:
    with serve(service) as server, ThreadPoolExecutor(1) as thread:
        url = server.url()
        answer = thread.submit(call, url, "wait", seconds=50)
        until((service.folder / "waiting").exists, lambda: "no request came")
        server.process.send_signal(number)
        until(lambda: refuses(url), lambda: "it goes on listening")
        assert not answer.done()
        (service.folder / "go").touch()
        assert answer.result() == "done"
        assert server.wait() == 0
        assert "Traceback" not in server.text()


def test_ctrl_c_in_a_terminal_goes_to_every_process_and_ends_cleanly(service: Project) -> None:
    argv = [sys.executable, "-m", "bentoml", "serve", "--port", "0", "--workers", "2"]
    with running(argv, cwd=service.folder, env=service.env, start_new_session=True) as server:
        server.url()
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait() == 0
        assert "Traceback" not in server.text()
    assert (service.folder / "stopped").read_text() == "once once "


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("import absent_module", "No module named 'absent_module'", id="import"),
        pytest.param(
            "import bentoml\n@bentoml.service(workers=2)\nclass S:\n    def __init__(self): raise OSError('no model')",
            "OSError: no model",
            id="init",
        ),
        pytest.param(
            "import bentoml\n@bentoml.service\nclass S:\n"
            "    @bentoml.on_startup\n    async def warm(self): raise OSError('no warmth')",
            "OSError: no warmth",
            id="startup hook",
        ),
    ],
)
def test_a_service_that_cannot_start(project: Project, source: str, expected: str) -> None:
    (project.folder / "service.py").write_text(source)
    with serve(project) as server:
        assert server.wait() == 3
        assert server.text().count(expected) == 1 and server.text().count("Traceback") == 1
        assert "service.py" in server.text() and "ready" not in server.text()


def test_a_port_in_use(service: Project) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        serve(service, port=other.getsockname()[1]) as server,
    ):
        assert server.wait() == 1
        assert "Error: [serve] `serve` failed: port " in server.text()
        assert "is already in use" in server.text() and "Traceback" not in server.text()
    assert not (service.folder / "deployed").exists()


def test_a_name_for_the_host(service: Project) -> None:
    with serve(service, "--host", "localhost") as server:
        assert urlsplit(server.url()).hostname == "localhost"
        assert call(server.url(), "pid")


def test_reload_picks_up_an_edit_and_nothing_else(service: Project) -> None:
    with serve(service, "--reload") as server:
        url = server.url()
        (service.folder / "app.log").write_text("not a source")
        call(url, "data")
        edited = (service.folder / "service.py").read_text().replace('return "done"', 'return "edited"')
        (service.folder / "service.py").write_text(edited)
        server.said("ready:", count=2)
        assert call(url, "wait", seconds=0) == "edited"
        (service.folder / "service.py").write_text("broken(")
        server.said("waiting for a change")
        (service.folder / "service.py").write_text(edited)
        server.said("ready:", count=3)
        assert call(url, "wait", seconds=0) == "edited"
        assert server.stop() == 0
        assert server.text().count("Reloading") == 3
    assert (service.folder / "deployed").read_text() == "once "


def test_a_bento_runs_in_its_folder_with_its_models(service: Project) -> None:
    model = """
        import sys
        from pathlib import Path
        import bentoml
        with bentoml.models.create("words") as m:
            Path(m.path, "words.txt").write_text(sys.argv[1])
    """
    source = """
        from pathlib import Path
        import bentoml

        @bentoml.service
        class Words:
            model = bentoml.models.get("words:latest")

            @bentoml.api
            def words(self) -> str:
                return Path(self.model.path_of("words.txt")).read_text() + " " + Path("data.txt").read_text()
    """
    build = "service: 'service:Words'\ninclude: ['*.py', '*.txt']\n"
    (service.folder / "bentofile.yaml").write_text(build)
    service.write(service_py=source, make_py=model)

    def make(words: str) -> None:
        subprocess.run([sys.executable, "make.py", words], cwd=service.folder, env=service.env, check=True)

    make("old")
    built = service.bentoml("build", "-o", "tag")
    assert built.returncode == 0, built.stderr
    tag = built.stdout.strip().removeprefix("__tag__:")
    make("new")
    (service.folder / "data.txt").write_text("changed since")
    for target in (tag, f"{tag.partition(':')[0]}:latest", tag.partition(":")[0]):
        with serve(service, target, cwd=service.folder.parent) as server:
            assert call(server.url(), "words") == "old the project's data"
            assert server.stop() == 0


def test_tls(service: Project) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=service.folder, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(cafile=service.folder / "cert.pem")
    flags = ["--host", "localhost", "--ssl-certfile", "cert.pem", "--ssl-keyfile", "key.pem"]
    with serve(service, *flags) as server:
        assert server.url().startswith("https://localhost:")
        assert call(server.url(), "wait", context, seconds=0) == "done"


def test_two_servers_at_once_do_not_meet(service: Project) -> None:
    with serve(service) as first, serve(service) as second:
        folders = {_metrics_folder(server.pids()[0]) for server in (first, second)}
        assert len(folders) == 2
        assert first.stop() == second.stop() == 0
    until(lambda: not any(folder.exists() for folder in folders), lambda: "a metrics folder was left behind")


def _metrics_folder(pid: int) -> Path:
    environ = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return Path(next(e.partition("=")[2] for e in environ if e.startswith("PROMETHEUS_MULTIPROC_DIR=")))
