"""The supervisor with real processes and the real protocol; the workers serve a tiny application."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.runtime.running import FAKE, Running, alive, get, refuses, running, until

Start = Callable[..., AbstractContextManager[Running]]


pytestmark = pytest.mark.slow  # processes are started and waited for


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a server of fake workers that leave their marks in ``tmp_path``."""

    def start(wishes: str = "", port: int = 0) -> AbstractContextManager[Running]:
        return running([*FAKE, f"marks={tmp_path} {wishes}", str(port)], env={"TMPDIR": str(tmp_path)})

    return start


def marks(folder: Path, name: str) -> int:
    return len(list(folder.glob(f"{name}-*")))


def begun(folder: Path) -> None:
    """Wait until a request has reached the application."""
    until(lambda: marks(folder, "request") > 0, lambda: "no request came")


def test_serves_and_ends_cleanly(start: Start, tmp_path: Path) -> None:
    with start() as server:
        assert int(get(server.url())) == server.pids()[0]
        assert server.stop() == 0
        assert "SERVICE  WORKERS  ADDRESS" in server.text()
        assert "1 worker, Press CTRL+C to quit" in server.text()
    assert marks(tmp_path, "shutdown-1") == 1


def test_a_failing_start_says_why_once_and_closes_the_port(start: Start, tmp_path: Path) -> None:
    with start("workers=2 fail=start") as server:
        assert server.wait() == 3
        assert server.text().count("Traceback: cannot start") == 1
        assert "ready" not in server.text()


@pytest.mark.slow
def test_a_failing_import(start: Start) -> None:
    with start("fail=import") as server:
        assert server.wait() == 3
        assert server.text().count("Traceback: cannot import") == 1


@pytest.mark.slow
def test_a_service_that_does_not_exist_is_the_callers_mistake(start: Start) -> None:
    with start("fail=usage") as server:
        assert server.wait() == 1
        assert server.text() == "Error: there is no such service\n"


@pytest.mark.slow
def test_a_worker_that_crashes_while_starting(start: Start) -> None:
    with start("fail=crash") as server:
        assert server.wait() == 3
        assert "was ended by signal SIGSEGV" in server.text()


def test_a_port_in_use(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, start(port=other.getsockname()[1]) as server:
        assert server.wait() == 1
        assert "is already in use" in server.text()


@pytest.mark.slow
def test_a_port_in_use_by_the_same_program(start: Start) -> None:
    with start("workers=2") as first:
        port = urlsplit(first.url()).port
        with start("workers=2", port=port) as second:
            assert second.wait() == 1
            assert f"port `{port}` on `127.0.0.1` is already in use" in second.text()
        assert get(first.url())


@pytest.mark.slow
def test_hooks_run_once_for_all_workers(start: Start, tmp_path: Path) -> None:
    with start("workers=3") as server:
        pids = server.pids()
        os.kill(pids[0], signal.SIGKILL)
        server.said("worker 1 .* is ready")
    assert marks(tmp_path, "deployed") == 1
    assert marks(tmp_path, "load-1") == 2


@pytest.mark.slow
def test_connections_spread_over_the_workers(start: Start) -> None:
    with start("workers=4") as server:
        url, pids = server.url(), server.pids()
        with ThreadPoolExecutor(4) as threads:
            answers = Counter(threads.map(lambda _: int(get(url)), range(400)))
    assert set(answers) == set(pids)
    assert min(answers.values()) >= 50 and max(answers.values()) <= 200


@pytest.mark.slow
def test_a_killed_worker_is_replaced_while_the_others_serve(start: Start, tmp_path: Path) -> None:
    with start("workers=2 hold=restart") as server:
        url, (first, second) = server.url(), server.pids()
        os.kill(first, signal.SIGKILL)
        server.said(r"worker 1 \(process \d+\) was ended by signal SIGKILL; it starts again in 0.5 s")
        assert {int(get(url)) for _ in range(20)} == {second}  # nobody waits for the dead one
        (tmp_path / "go").touch()
        new = int(server.said(r"worker 1 \(process (\d+)\) is ready"))
        until(lambda: new in {int(get(url)) for _ in range(5)}, lambda: "the new worker does not answer")
        assert new != first


@pytest.mark.slow
def test_the_only_worker_dies_and_the_port_refuses_until_it_is_back(start: Start, tmp_path: Path) -> None:
    with start("hold=restart") as server:
        url = server.url()
        os.kill(server.pids()[0], signal.SIGKILL)
        server.said("starts again")
        with pytest.raises(ConnectionRefusedError):
            get(url)
        (tmp_path / "go").touch()
        server.said("is ready")
        assert get(url)


@pytest.mark.slow
def test_a_worker_that_cannot_start_again_is_tried_again_and_again(start: Start) -> None:
    with start("fail=restart") as server:
        os.kill(server.pids()[0], signal.SIGKILL)
        server.said("it starts again in 1 s\nTraceback: cannot start")
        server.said("it starts again in 2 s\nTraceback: cannot start")
        assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_requests_end_and_refuses_new_ones(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    with start("workers=2 timeout=60") as server, ThreadPoolExecutor(1) as thread:
        url = server.url()
        answer = thread.submit(get, url, "/go")
        begun(tmp_path)
        server.process.send_signal(number)
        until(lambda: refuses(url), lambda: "it goes on listening")
        assert not answer.done()
        (tmp_path / "go").touch()
        assert int(answer.result()) in server.pids()
        assert server.wait() == 0
    assert marks(tmp_path, "shutdown") == 2


@pytest.mark.slow
def test_requests_that_take_too_long_are_cut(start: Start, tmp_path: Path) -> None:
    with start("timeout=1") as server, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(get, server.url(), "/600")
        begun(tmp_path)
        start_of_end = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start_of_end > 0.9
        with pytest.raises(OSError):
            answer.result()


@pytest.mark.slow
def test_a_second_signal_ends_at_once(start: Start, tmp_path: Path) -> None:
    with start() as server, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(get, server.url(), "/600")
        begun(tmp_path)
        server.process.send_signal(signal.SIGINT)
        server.said("Stopping")
        assert server.stop(signal.SIGINT) == 0
        assert "Stopping at once" in server.text()
        with pytest.raises(OSError):
            answer.result()


@pytest.mark.slow
def test_workers_end_when_the_supervisor_is_killed(start: Start) -> None:
    with start("workers=2") as server:
        pids = server.pids()
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: not any(map(alive, pids)), lambda: "the workers live on")


@pytest.mark.slow
def test_reload_runs_the_new_code_and_ends_on_sigterm(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "service.py").write_text("one = 1\n")
    with start(f"folder={folder}") as server:
        (old,) = server.pids()
        (folder / "written.log").write_text("not a source")
        (folder / "service.py").write_text("two = 2\n")
        server.said("Detected changes in service.py. Reloading...")
        url = server.said(r"Service \S+ ready: (\S+)", count=2)
        assert int(get(url)) != old and not alive(old)
        assert url == server.url()
        (folder / "service.py").write_text("three = 3\n")
        server.said("Detected changes", count=2)
        assert server.stop() == 0
    assert marks(tmp_path, "deployed") == 1
    assert marks(tmp_path, "load") <= 3


@pytest.mark.slow
def test_reload_waits_for_a_change_after_code_that_does_not_start(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    with start(f"fail=restart folder={folder}") as server:
        server.url()
        (folder / "broken.py").write_text("broken")
        server.said("waiting for a change\nTraceback: cannot start")
        (folder / "broken.py").write_text("still broken")
        server.said("waiting for a change", count=2)
        assert server.stop() == 0


def test_the_metrics_folder_goes_with_the_server(start: Start, tmp_path: Path) -> None:
    with start() as server:
        server.url()
        environ = Path(f"/proc/{server.pids()[0]}/environ").read_text().split("\0")
        folder = Path(next(e.partition("=")[2] for e in environ if e.startswith("PROMETHEUS_MULTIPROC_DIR=")))
        assert folder.stat().st_mode & 0o777 == 0o700
        assert server.stop() == 0
    assert not folder.exists()


def test_connections_from_the_first_moment_on_spread_over_all_workers(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with start("workers=4", port), ExitStack() as stack:
        clients: list[socket.socket] = []

        def connects() -> bool:
            try:
                clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
            except ConnectionRefusedError:
                return False
            return len(clients) == 64

        until(connects, lambda: "nobody listens")
        held = Counter(ask(client) for client in clients)
    assert len(held) == 4
    assert max(held.values()) <= 32  # twice the even share: three more than 4 deviations


def ask(client: socket.socket) -> bytes:
    """Return the body of an answer over a connection that stays open."""
    client.sendall(b"GET /0 HTTP/1.1\r\nHost: here\r\n\r\n")
    return client.recv(1 << 16).partition(b"\r\n\r\n")[2]
