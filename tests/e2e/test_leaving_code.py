"""Code of a service that ends its worker's event loop: nobody is answered by what is left of it."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request

import pytest
from tests.runtime.running import running
from tests.support import Project

pytestmark = pytest.mark.slow

SERVICE = """
    import asyncio
    import sys

    import bentoml

    @bentoml.service(threads=2)
    class Leaving:
        @bentoml.api
        async def leave(self) -> str:
            async def soon() -> None:
                sys.exit(4)

            self.task = asyncio.create_task(soon())
            return "soon"

        @bentoml.api
        def wait(self, seconds: float = 0.0) -> str:
            import time
            time.sleep(seconds)
            return "here"
"""


def test_a_worker_whose_loop_was_ended_takes_no_more_connections(project: Project) -> None:
    project.write(service_py=SERVICE)
    argv = [sys.executable, "-m", "bentoml", "serve", "service:Leaving", "--port", "0"]
    with running(argv, cwd=project.folder, env=project.env) as server:
        url = server.url()
        assert ask(url, "leave") == "soon"
        until = time.monotonic() + 60
        while (said := ask(url, "wait")) != "here":
            assert said == "refused"
            assert time.monotonic() < until
            time.sleep(0.01)
        assert "SystemExit: 4" in server.text()


def ask(url: str, api: str) -> str:
    request = urllib.request.Request(f"{url}/{api}", b"{}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as e:
        return f"{e.code}: {e.read().decode()}"
    except (urllib.error.URLError, ConnectionError):
        return "refused"
