"""The health check of a container, run as an engine runs it: by a Python that knows nothing of this library."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import bentoml.templates

SCRIPT = Path(bentoml.templates.__path__[0], "health.py")
OK = b"HTTP/1.1 200 OK\r\n\r\n"


@contextmanager
def answering(answer: bytes | None, host: str = "127.0.0.1") -> Iterator[int]:
    """Answer each request so, or cut the connection, until the block ends; gives the port."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        thread = threading.Thread(target=_answer, args=(server, answer))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=60)


def _answer(server: socket.socket, answer: bytes | None) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, suppress(ConnectionError):
            if answer is not None:
                connection.recv(1000)
                connection.sendall(answer)


def check(tmp_path: Path, command: str, port: int, env: dict[str, str] | None = None) -> int:
    """Run the check in a container whose first process has this command line."""
    (tmp_path / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in command.split()))
    argv = [sys.executable, "-I", "-S", "-B", str(SCRIPT), str(port), str(tmp_path / "cmdline")]
    return subprocess.run(argv, env=env or {}, timeout=60).returncode


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(OK, 0, id="well"),
        pytest.param(b"HTTP/1.1 404 Not Found\r\n\r\n", 0, id="a program without such a route"),
        pytest.param(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, id="not well"),
        pytest.param(None, 0, id="TLS"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x46", 0, id="an alert of TLS"),
    ],
)
def test_what_the_server_says(tmp_path: Path, answer: bytes | None, code: int) -> None:
    with answering(answer) as port:
        assert check(tmp_path, "python /app/.venv/bin/bentoml serve /home/bentoml/bento", port) == code


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with answering(OK) as port:
        pass
    assert check(tmp_path, "bentoml serve", port) == 1


@pytest.mark.parametrize(
    ("command", "env"),
    [
        ("bentoml serve --port {port}", {"PORT": "1"}),
        ("docker-init -- entrypoint.sh serve --port=1 --port={port}", {}),
        ("bentoml serve -p {port} /bento", {"BENTOML_PORT": "1"}),
        ("bentoml serve", {"BENTOML_PORT": "1", "PORT": "{port}"}),
        ("bentoml serve-http", {"BENTOML_PORT": "{port}", "BENTOML_HOST": "0.0.0.0"}),
        ("bentoml serve --host 127.0.0.1 -p {port}", {"BENTOML_HOST": "192.0.2.1"}),
    ],
    ids=str,
)
def test_the_address_is_the_one_that_the_server_was_given(
    tmp_path: Path, command: str, env: dict[str, str]
) -> None:
    with answering(OK) as port:
        env = {name: value.format(port=port) for name, value in env.items()}
        assert check(tmp_path, command.format(port=port), 1, env) == 0


def test_all_addresses_of_both_kinds(tmp_path: Path) -> None:
    with answering(OK, "::1") as port:
        assert check(tmp_path, "bentoml serve", port, {"BENTOML_HOST": "::"}) == 0


def test_another_command_is_always_well(tmp_path: Path) -> None:
    assert check(tmp_path, "python -c pass", 1) == 0
