"""A worker process, with the test in the place of the supervisor."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tests.runtime.running import DEADLINE, get, until

from bentoml.runtime.process.frames import (
    Channel,
    Deployed,
    Description,
    Failed,
    Load,
    Ping,
    Pong,
    Ready,
    Serve,
)
from bentoml.runtime.process.supervisor import WORKER

SERVICE = """
    import os
    from pathlib import Path
    import bentoml

    @bentoml.service
    class Words:
        @bentoml.api
        def count(self, text: str) -> int:
            return len(text.split())

    @bentoml.service(name="reader", workers=3, traffic={"timeout": 7}, http={"port": 4000})
    class Reader:
        words = bentoml.depends(Words)

        @bentoml.on_deployment
        def deploy() -> None:
            Path("deployed").write_text("yes")

        @bentoml.api
        def where(self) -> str:
            return f"{bentoml.server_context.worker_index} {os.getcwd()}"
"""


class Worker:
    """A worker's process and the supervisor's end of its channel."""

    def __init__(self, folder: Path, load: Load) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(DEADLINE)
        env = {**os.environ, "BENTOML_HOME": str(folder / "home")}
        with theirs:
            self.process = subprocess.Popen(
                [*WORKER, str(theirs.fileno())], cwd=folder, env=env, pass_fds=[theirs.fileno()], text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.channel = Channel(ours)
        self.channel.send(load)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was printed."""
        printed, _ = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, printed


StartWorker = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker on a service whose source is given."""
    workers = []

    def start(source: str, identifier: str = "service:Reader", **changes: Any) -> Worker:
        (tmp_path / "service.py").write_text(dedent(source))
        load = Load(1, identifier, working_dir=None, target=None, log_level=logging.WARNING, timeout=None)
        workers.append(Worker(tmp_path, replace(load, **changes)))
        return workers[-1]

    yield start
    for worker in workers:
        worker.process.kill()
        worker.end()
        worker.channel.close()


def serve_order(folder: Path, **changes: Any) -> Serve:
    order = Serve(
        deploy=True,
        workers=3,
        development=False,
        backlog=2048,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        metrics_folder=str(folder),
        ssl={},
    )
    return replace(order, **changes)


@pytest.mark.slow
def test_a_worker_from_start_to_end(start: StartWorker, tmp_path: Path) -> None:
    worker = start(SERVICE)
    assert worker.channel.receive() == Description(
        target={
            "import_string": "service:Reader",
            "working_dir": str(tmp_path),
            "bento_tag": None,
            "args": {},
        },
        service="reader",
        workers=3,
        host="127.0.0.1",
        port=4000,
        backlog=2048,
        timeout=7.0,
        dependencies=["Words"],
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        worker.channel.send(serve_order(tmp_path), [listening.fileno()])
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    assert worker.channel.receive() == Deployed()
    assert (tmp_path / "deployed").read_text() == "yes"
    assert worker.channel.receive() == Ready()
    assert get(url, "/readyz") == "\n"
    worker.channel.send(Ping())
    assert worker.channel.receive() == Pong()
    worker.channel.close()  # as when the supervisor is killed
    assert worker.end()[0] == 0


@pytest.mark.slow
def test_the_next_workers_load_what_the_first_has_found(start: StartWorker, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.py").write_text(dedent(SERVICE))
    first = start("", "other:Reader", working_dir="sub", timeout=1.5).channel.receive()
    assert isinstance(first, Description)
    assert (first.target["working_dir"], first.timeout) == (str(tmp_path / "sub"), 1.5)
    second = start("", "what the user wrote", index=2, target=first.target, timeout=1.5).channel.receive()
    assert second == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "identifier", "exit_code", "message"),
    [
        pytest.param("", "nowhere:Service", 1, r"there is no module `nowhere`", id="no module"),
        pytest.param("", "./nowhere", 1, "nowhere", id="no folder"),
        pytest.param("", "no-such-bento:latest", 1, "`no-such-bento:latest`", id="no bento"),
        pytest.param(SERVICE, "service:Writer", 1, "`service` has no `Writer`", id="no attribute"),
        pytest.param(
            "import absent_module", "service:X", 3,
            r'Traceback .*\n  File ".*/service.py", line 1, .*\n.*\nModuleNotFoundError: .*absent_module', id="import error",
        ),
        pytest.param("Service = 1 / 0", "service:Service", 3, r'File ".*/service.py", line 1', id="error"),
        pytest.param("import sys; sys.exit('enough')", "service:Service", 3, "SystemExit: enough", id="exit"),
        pytest.param("def Service(:", "service:Service", 3, "SyntaxError", id="syntax"),
        pytest.param(
            "import bentoml\n@bentoml.service(wokers=2)\nclass Service: pass", "service:Service", 1,
            "^the configuration of service `Service` is not valid:\n.*did you mean `workers`", id="configuration",
        ),
    ],
)  # fmt: skip
def test_a_service_that_cannot_be_loaded(
    start: StartWorker, source: str, identifier: str, exit_code: int, message: str
) -> None:
    worker = start(source, identifier)
    failed = worker.channel.receive()
    assert isinstance(failed, Failed), failed
    assert failed.exit_code == exit_code
    assert re.search(message, failed.message), failed.message
    assert "bentoml/runtime" not in failed.message
    assert worker.end() == (exit_code, "")  # it is the supervisor that shows the message, once


@pytest.mark.slow
@pytest.mark.parametrize("failing", ["deploy", "__init__", "startup"])
def test_a_service_that_cannot_start(start: StartWorker, tmp_path: Path, failing: str) -> None:
    source = f"""
        import bentoml

        def step(name):
            if name == "{failing}":
                raise RuntimeError("no " + name)

        @bentoml.service
        class Service:
            def __init__(self) -> None:
                step("__init__")

            @bentoml.on_deployment
            def deploy() -> None:
                step("deploy")

            @bentoml.on_startup
            async def startup(self) -> None:
                step("startup")
    """
    worker = start(source, "service:Service")
    assert isinstance(worker.channel.receive(), Description)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        worker.channel.send(serve_order(tmp_path), [listening.fileno()])
    frames = [worker.channel.receive() for _ in range(1 if failing == "deploy" else 2)]
    failed = frames[-1]
    assert isinstance(failed, Failed) and failed.exit_code == 3
    assert failed.message.endswith(f"RuntimeError: no {failing}")
    assert re.match(r'Traceback .*:\n  File ".*/service.py", line ', failed.message)


@pytest.mark.slow
def test_a_certificate_that_is_not_there(start: StartWorker, tmp_path: Path) -> None:
    worker = start(SERVICE)
    assert isinstance(worker.channel.receive(), Description)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        order = serve_order(tmp_path, deploy=False, ssl={"certfile": "/none.pem", "keyfile": None})
        worker.channel.send(order, [listening.fileno()])
    failed = worker.channel.receive()
    assert isinstance(failed, Failed) and failed.exit_code == 1
    assert failed.message.startswith("TLS cannot be used with `ssl.certfile` `/none.pem`")


@pytest.mark.slow
def test_a_worker_whose_supervisor_ends_while_it_loads(start: StartWorker, tmp_path: Path) -> None:
    worker = start(
        "import time; open('loading', 'w').close(); time.sleep(60); Service = 1", "service:Service"
    )
    until((tmp_path / "loading").exists, lambda: "it does not load")
    worker.channel.close()
    assert worker.end()[0] == -signal.SIGTERM
