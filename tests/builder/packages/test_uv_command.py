"""How uv is told where packages come from."""

from __future__ import annotations

import os
import sys

import pytest

from bentoml.builder.packages.indexes import Indexes
from bentoml.builder.packages.uv_command import uv_command, uv_environment, uv_options
from bentoml.process import run

INDEX = "https://user:secret@index.example/simple"


def test_uv_is_there() -> None:
    assert os.access(uv_command(), os.X_OK)


def test_uv_is_found_by_many_threads_at_once() -> None:
    code = """
import sys, threading
from bentoml.builder.packages.uv_command import uv_command
sys.setswitchinterval(1e-6)
start, found = threading.Barrier(16), []
threads = [threading.Thread(target=lambda: (start.wait(), found.append(uv_command()))) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found))
"""
    assert run([sys.executable, "-c", code]) == "16\n"


@pytest.mark.parametrize(
    ("indexes", "options"),
    [
        pytest.param(Indexes(), (), id="defaults"),
        pytest.param(Indexes(no_index=True, find_links=("/a", "/b")), ("--no-index", "--find-links", "/a", "--find-links", "/b"), id="folders"),
        pytest.param(Indexes(trusted_host=("h",)), ("--allow-insecure-host", "h"), id="host"),
        pytest.param(Indexes(best_match=True), ("--index-strategy", "unsafe-best-match"), id="as pip does"),
    ],
)  # fmt: skip
def test_options(indexes: Indexes, options: tuple[str, ...]) -> None:
    assert uv_options(indexes) == options


def test_credentials_are_not_on_the_command_line() -> None:
    indexes = Indexes(index_url=INDEX, extra_index_url=(INDEX, "https://b"))
    assert "secret" not in " ".join(uv_options(indexes))
    env = uv_environment(indexes, {"HOME": "/h"})
    assert env == {
        "HOME": "/h", "NO_COLOR": "1", "UV_INDEX_URL": INDEX, "UV_EXTRA_INDEX_URL": f"{INDEX} https://b",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_what_is_said_to_uv_itself_goes_before(name: str) -> None:
    env = uv_environment(Indexes(index_url=INDEX), {name: "https://mine"})
    assert INDEX not in env.values()
    assert env[name] == "https://mine"


def test_the_certificates_of_pip() -> None:
    assert uv_environment(Indexes(cert="/ca.pem"), {})["SSL_CERT_FILE"] == "/ca.pem"
    assert uv_environment(Indexes(cert="/ca.pem"), {"SSL_CERT_FILE": "/mine"})["SSL_CERT_FILE"] == "/mine"
