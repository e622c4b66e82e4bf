"""Services that are another program: started, watched, and spoken to by everybody as if it were the service."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from tests.runtime.running import DEADLINE, alive, until
from tests.runtime.served import Reply, served
from tests.support import free_port

import bentoml
from bentoml.exceptions import BentoMLConfigException
from bentoml.runtime.proxied.command import CommandFailed, command_line, declared_command
from bentoml.runtime.proxied.leash import __file__ as leash
from bentoml.runtime.proxied.users import nobody_uses, using

UPSTREAM = str(Path(__file__).with_name("upstream.py"))


def service(*words: str, **config: Any) -> Any:
    config = {"http": {"proxy_port": free_port()}} | config

    @bentoml.service(cmd=[sys.executable, UPSTREAM, "${PORT}", *words], **config)
    class Program:
        @bentoml.api
        def own(self) -> str:
            return "mine"

    return Program


@pytest.mark.parametrize(
    ("word", "argument"),
    [
        ("${A}/$A", "1 2/1 2"),
        ("${B:-x}${EMPTY:-y}", "xy"),
        ("$B ${B}", "$B ${B}"),
        ("$A; rm -rf *", "1 2; rm -rf *"),
    ],
)
def test_placeholders(word: str, argument: str) -> None:
    assert command_line([word], {"A": "1 2", "EMPTY": ""}) == [argument]


def test_a_method_says_the_command() -> None:
    @bentoml.service
    class Program:
        def __init__(self) -> None:
            self.word = "b"

        def __command__(self) -> list[str]:
            return ["a", self.word]

    program: Any = Program
    assert declared_command(program, program()) == ["a", "b"]


@pytest.mark.parametrize("given", ["a b", [], [1], {"a": 1}])
def test_a_command_that_is_none(given: Any) -> None:
    @bentoml.service
    class Program:
        def __command__(self) -> Any:
            return given

    program: Any = Program
    with pytest.raises(BentoMLConfigException, match="the command of service `Program` is a list of texts"):
        declared_command(program, program())


@pytest.mark.slow
def test_requests_go_to_the_program() -> None:
    endpoints = {"livez": "/well", "readyz": "/ours"}
    with served(service("${HOME_OF_TEST:-none}", endpoints=endpoints), env=dict(os.environ)) as app:
        assert app.ask("/well", method="GET").json()["path"] == "/well"
        assert app.ask("/ours", method="GET").body == b"\n"
        assert app.ask("/own", {}).body == b"mine"
        assert app.ask("/readyz", method="GET").status == 200
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            said = app.ask(
                "/v1/a%20b", b"x" * 1000, method=method, headers={"x-a": "1", "te": "x"}, pieces=10
            )
            about = said.json()
            assert (about["method"], about["path"], about["size"]) == (method, "/v1/a%20b", 1000)
            given = dict(about["headers"])
            assert given["x-a"] == "1" and "te" not in given
            assert given["x-forwarded-for"] == "127.0.0.1"
        assert about["argv"][1:] == ["none"]
        assert [v for n, v in said.raw_headers if n == "x-two"] == ["a", "b"]
        lies = (
            "x-forwarded-for",
            "x_forwarded_for",
            "x-forwarded_host",
            "forwarded",
            "x-real-ip",
            "x_real_ip",
        )
        given = app.ask(
            "/who", method="GET", headers=dict.fromkeys((*lies, "transfer_encoding"), "6.6.6.6")
        ).json()["headers"]
        assert "6.6.6.6" not in [value for _, value in given]
        assert "connection" not in said.headers
        assert app.ask("/teapot", method="GET").status == 418
        assert app.ask("/", method="GET").json()["path"] == "/"
        pid = about["pid"]
    assert not alive(pid)


@pytest.mark.slow
def test_streams_come_in_steps_and_end_with_the_client() -> None:
    with served(service(path_prefix="/p"), env=dict(os.environ)) as app:
        began = time.monotonic()
        reply: Reply = app.run(app.request("/p/slow", method="GET", on_chunk=lambda r: len(r.chunks) == 5))
        assert time.monotonic() - began < 40  # of the minute that it would take
        assert reply.body.startswith(b"0 1 2 3")
        assert not reply.complete


@pytest.mark.slow
def test_websockets() -> None:
    program = service()
    with (
        TestClient(program.to_asgi()) as client,
        client.websocket_connect("/chat", subprotocols=["a"]) as chat,
    ):
        assert str(chat.accepted_subprotocol) == "a"
        chat.send_text("hi")
        assert chat.receive_text() == "you said hi"
        chat.send_text("bye")
        with pytest.raises(WebSocketDisconnect) as closed:
            chat.receive_text()
        assert closed.value.code == 4001


@pytest.mark.slow
def test_a_program_that_dies_is_started_again() -> None:
    with served(service(), env=dict(os.environ)) as app:
        first = app.ask("/", method="GET").json()["pid"]
        assert app.ask("/die", method="GET").status == 503
        reply = app.ask("/", method="GET")
        assert (reply.status, reply.body) == (503, b"Upstream service unavailable.")
        ready = app.ask("/readyz", method="GET")
        assert (ready.status, ready.body) == (503, b"Runners are not ready.")

        def back() -> bool:
            app.run(asyncio.sleep(0.1))
            return app.ask("/", method="GET").status == 200

        until(back, lambda: "it does not come back")
        assert app.ask("/", method="GET").json()["pid"] != first


def test_a_program_that_ends_at_once() -> None:
    @bentoml.service(cmd=[sys.executable, "-c", "exit(4)"], http={"proxy_port": free_port()})
    class Short:
        pass

    with (
        pytest.raises(CommandFailed, match="ended with exit code 4 before it answered"),
        served(Short, env=dict(os.environ)),
    ):
        raise AssertionError


def test_a_program_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    @bentoml.service(cmd=["/no/such/program"], http={"proxy_port": free_port()})
    class Missing:
        pass

    with pytest.raises(CommandFailed), served(Missing, env=dict(os.environ)):
        raise AssertionError
    assert "`/no/such/program` cannot be run: No such file or directory" in capfd.readouterr().err


@pytest.mark.slow
def test_a_program_without_the_health_page() -> None:
    with (
        pytest.raises(BentoMLConfigException, match="has no page `/missing`"),
        served(service(endpoints={"livez": "/missing"}), env=dict(os.environ)),
    ):
        raise AssertionError


def test_the_program_ends_with_its_parent(tmp_path: Path) -> None:
    """Also where the parent is killed and can do nothing about it."""
    pid_file = tmp_path / "pid"
    child = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = (
        "import os, subprocess, sys; "
        f"subprocess.Popen([sys.executable, {leash!r}, str(os.getpid()), sys.executable, '-c', {child!r}]).wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    until(lambda: pid_file.exists() and bool(pid_file.read_text()), lambda: "the program does not start")
    pid = int(pid_file.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not alive(pid), lambda: "the program outlives its parent")


def test_a_program_whose_parent_is_gone_already() -> None:
    done = subprocess.run([sys.executable, leash, "1", "echo", "hello"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("how", ["parent killed", "program ends", "asked to end", "killed"])
def test_what_a_program_has_started_ends_with_it(tmp_path: Path, how: str) -> None:
    pid_file = tmp_path / "pid"
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " if how == "killed" else ""
    grandchild = (
        f"{deaf}import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    then = "while [ ! -s $2 ]; do sleep 0.02; done; exit 3" if how == "program ends" else "wait"
    words = ["sh", "-c", f'{sys.executable} -c "$1" & {then}', "sh", grandchild, str(pid_file)]
    parent = f"import os, subprocess, sys; subprocess.Popen([sys.executable, {leash!r}, str(os.getpid()), *sys.argv[1:]]).wait()"
    if how == "parent killed":
        process = subprocess.Popen([sys.executable, "-c", parent, *words])
    else:
        process = subprocess.Popen([sys.executable, leash, str(os.getpid()), *words])
    until(lambda: pid_file.exists() and bool(pid_file.read_text()), lambda: "the program does not start")
    pid = int(pid_file.read_text())
    match how:
        case "parent killed":
            process.kill()
        case "asked to end":
            process.send_signal(signal.SIGTERM)
        case "killed":
            process.send_signal(signal.SIGTERM)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            until(lambda: children.read_text().split() == [str(pid)], lambda: "the shell does not end")
            assert alive(pid)
            process.send_signal(signal.SIGUSR1)
    code = process.wait(DEADLINE)
    assert code == {"parent killed": -signal.SIGKILL, "program ends": 3}.get(how, -signal.SIGTERM)
    until(lambda: not alive(pid), lambda: "what the program has started outlives it")


def test_the_program_outlasts_the_requests_of_other_workers(tmp_path: Path) -> None:
    lock = tmp_path / "lock"

    async def ends() -> list[str]:
        happened: list[str] = []
        with using(lock), using(lock):
            waiting = asyncio.create_task(nobody_uses(lock))
            await asyncio.sleep(0.1)
            happened.append("used")
            waiting.add_done_callback(lambda _: happened.append("free"))
            await asyncio.sleep(0)
        await waiting
        await asyncio.sleep(0)
        return happened

    assert asyncio.run(ends()) == ["used", "free"]


ABRUPT = """
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/slow/"):
            open("asked" + self.path[6:], "w").close()
            time.sleep(float(self.path[6:]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"whole")

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.slow
def test_requests_of_every_worker_end_before_the_program(tmp_path: Path) -> None:
    """Also where the program lets go of its requests as soon as it is told to end."""
    (tmp_path / "program.py").write_text(ABRUPT)
    (tmp_path / "service.py").write_text(
        "import sys, bentoml\n"
        "@bentoml.service(cmd=[sys.executable, 'program.py', '$PORT'], workers=3, "
        f"http={{'proxy_port': {free_port()}}})\n"
        "class Program: pass\n"
    )
    server = bentoml.serve("service:Program", working_dir=str(tmp_path), port=0)
    with server, ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(httpx2.get, f"{server.url}/slow/{1 + n / 5}", timeout=60) for n in range(6)]
        until(lambda: len(list(tmp_path.glob("asked*"))) == 6, lambda: "they are not asked")
        server.stop()
        assert [call.result().text for call in calls] == ["whole"] * 6
