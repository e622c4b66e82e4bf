"""How a container lives: who may run it, where it writes, how it is told to end, and who sees that it is well."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from tests.containers import call, docker, published, started
from tests.support import Project

pytestmark = pytest.mark.engine

SERVICE = """
    import os, time
    import bentoml

    @bentoml.service(http={"port": 3456})
    class Worker:
        @bentoml.api
        def who(self) -> dict:
            home = os.path.expanduser("~")
            return {"uid": os.getuid(), "home": home, "may write": os.access(home, os.W_OK)}

        @bentoml.api
        def wait(self, seconds: float) -> float:
            time.sleep(seconds)
            return seconds

        @bentoml.task
        def add(self, a: int, b: int) -> int:
            return a + b
"""
BROKEN = "raise RuntimeError('the weights are gone')\n"
BOTH = """
import os, shutil, sys
from pathlib import Path
from bentoml.builder.oci.bases.rootfs import read_rootfs
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.model import Platform
from bentoml.builder.oci.parts.bytecode import Python
from bentoml.builder.oci.parts.compiler import local_compiler
from bentoml.builder.steps.base_compiler import BaseCompiler

cache = Cache(Path(sys.argv[2]))
base = open_base("debs:bookworm", platform=Platform(), cache=cache.root, env=os.environ)
python = Python(read_rootfs(base, cache).release("/usr/bin/python3.11"), "/usr/bin/python3.11")
own = local_compiler(python.release, cache, os.environ)
assert own, "`scripts/test` installs it"
for number, compiler in enumerate([own, BaseCompiler(base, python, os.environ, 2)]):
    folder = Path(sys.argv[1], str(number))
    folder.mkdir()
    sources = sorted(Path(os.__file__).parent.glob("[a-c]*.py"))
    for place, source in enumerate(sources):
        shutil.copyfile(source, folder / str(place))
    compiler.compile(folder, [0] * len(sources))
"""
BUILD = "service: service:Worker\ndocker: {python_version: '3.11'}\n"
IMAGE = "bentoml-test-worker:1"
BASE = ("--base-image", "debs:bookworm")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A service whose port is 3456, built."""
    project = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("home"))
    done(project.write(service_py=SERVICE, bentofile_yaml=BUILD), "build")
    return project


@pytest.fixture(scope="module")
def image(project: Project) -> Iterator[str]:
    """Its image."""
    done(project, "containerize", "worker:latest", *BASE, "-t", IMAGE)
    yield IMAGE
    docker("rmi", "--force", IMAGE)


def done(project: Project, *arguments: str) -> None:
    ended = project.bentoml(*arguments, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def state(container: str, what: str) -> Any:
    return json.loads(docker("inspect", "--format", f"{{{{json .State.{what}}}}}", container))


def task_done(address: str, a: int, b: int) -> Any:
    """Return the result of a task, which is kept in a file."""
    task = call(address, "add/submit", a=a, b=b)["task_id"]
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"{address}/add/status?task_id={task}", timeout=60) as answer:
            if json.load(answer)["status"] == "completed":
                break
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with urllib.request.urlopen(f"{address}/add/get?task_id={task}", timeout=60) as answer:
        return json.load(answer)


def begun(address: str) -> None:
    """Wait until a worker is at a request of ``wait``."""
    line = re.compile(r'request_in_progress\{endpoint="/wait",.* 1\.0')
    end = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
            if line.search(answer.read().decode()):
                return
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("settings", "uid", "home"),
    [
        pytest.param((), 1034, "/home/bentoml", id="as it is"),
        pytest.param(("--user", "12345:0"), 12345, "/tmp", id="a user without a name"),
        pytest.param(("--user", "0"), 0, "/root", id="root"),
        pytest.param(
            ("--read-only", "--tmpfs", "/tmp", "--user", "12345", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            12345, "/tmp", id="all at once",
        ),
    ],
)  # fmt: skip
def test_anybody_may_run_it(image: str, settings: tuple[str, ...], uid: int, home: str) -> None:
    with published(image, port=3456, settings=settings) as (container, address):
        assert call(address, "who") == {"uid": uid, "home": home, "may write": True}
        assert task_done(address, 2, 3) == 5
        changed = {line[2:] for line in docker("diff", container).splitlines() if line[0] == "A"}
    allowed = [PurePosixPath(place) for place in ("/home/bentoml", "/tmp")]
    assert [path for path in changed if not any(PurePosixPath(path).is_relative_to(a) for a in allowed)] == []


def test_a_signal_lets_requests_end(image: str) -> None:
    with published(image, port=3456) as (container, address):
        answers: list[object] = []
        asking = threading.Thread(target=lambda: answers.append(call(address, "wait", seconds=1.5)))
        asking.start()
        begun(address)
        docker("kill", "--signal", "INT", container)
        assert docker("wait", container) == "0\n"
        asking.join(timeout=60)
        assert answers == [1.5]


def test_docker_stop_need_not_kill(image: str) -> None:
    with published(image, "serve", "--workers", "2", port=3456) as (container, address):
        asking = threading.Thread(target=call, args=(address, "wait"), kwargs={"seconds": 1.5})
        asking.start()
        begun(address)
        docker("stop", "--time", "60", container)
        asking.join(timeout=60)
        assert (state(container, "ExitCode"), state(container, "OOMKilled")) == (0, False)


@pytest.mark.parametrize(
    ("settings", "arguments", "port"),
    [
        pytest.param(("--env", "PORT=8080", "--env", "BENTOML_PORT=1"), (), 8080, id="PORT"),
        pytest.param(("--env", "PORT=1"), ("-p", "8082"), 8082, id="an option"),
        pytest.param(("--init",), (), 3456, id="the service's own, behind an init"),
    ],
)
def test_the_engine_sees_that_it_is_well(
    image: str, settings: tuple[str, ...], arguments: tuple[str, ...], port: int
) -> None:
    with published(image, *arguments, port=port, settings=("--health-interval", "300ms", *settings)) as (
        container,
        _,
    ):
        deadline = time.monotonic() + 120
        while state(container, "Health")["Status"] == "starting" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert state(container, "Health")["Status"] == "healthy", state(container, "Health")


def test_the_engine_sees_that_it_is_not_well(image: str) -> None:
    """A server that hangs (its processes are stopped) is unhealthy after three checks."""
    health = ("--health-interval", "200ms", "--health-timeout", "1s", "--health-start-period", "1ms")
    with published(image, port=3456, settings=(*health, "--health-retries", "2")) as (container, _):
        stop = "import os\nfor p in os.listdir('/proc'):\n if p.isdigit() and os.stat(f'/proc/{p}').st_uid == 1034 and int(p) not in (1, os.getpid()): os.kill(int(p), 19)"
        docker("exec", container, "python", "-c", stop)
        deadline = time.monotonic() + 120
        while state(container, "Health")["Status"] != "unhealthy" and time.monotonic() < deadline:
            time.sleep(0.2)
        assert state(container, "Health")["Status"] == "unhealthy"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("sh", "-c", "echo $BENTOML_HOME $PORT"), "/home/bentoml 3000\n", id="sh"),
        pytest.param(("python", "-c", "import sys; print(sys.prefix)"), "/app/.venv\n", id="python"),
        pytest.param(("bentoml", "models", "list", "-o", "json"), "[]\n", id="bentoml"),
    ],
)
def test_any_command_runs(image: str, arguments: tuple[str, ...], said: str) -> None:
    settings = ("--rm", "--network", "none", "--user", "12345", "--env", "PORT=3000")
    assert docker("run", *settings, image, *arguments) == said


def test_the_exit_code_is_that_of_the_command(image: str) -> None:
    ended = subprocess.run(["docker", "run", "--rm", image, "sh", "-c", "exit 7"], timeout=300)
    assert ended.returncode == 7


def test_a_service_that_cannot_start_says_why(image: str) -> None:
    """One that fails is not tried again and again: whoever runs containers does that."""
    command = f'printf "{BROKEN}" > service.py && exec bentoml serve service:Worker'
    with started(image, "sh", "-c", command) as container:
        assert docker("wait", container) == "1\n" or state(container, "ExitCode") == 3
        log = subprocess.run(["docker", "logs", container], capture_output=True, text=True, timeout=300)
        assert "RuntimeError: the weights are gone" in log.stdout + log.stderr


def test_without_a_place_to_write_it_says_so(image: str) -> None:
    ended = subprocess.run(
        ["docker", "run", "--rm", "--read-only", image], capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 1
    assert "/tmp" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.usefixtures("image")
def test_the_python_of_a_base_compiles_as_one_of_this_machine_does(project: Project, tmp_path: Path) -> None:
    """So that an image has the same id where the release is not installed: an engine runs the base's own."""
    (tmp_path / "both.py").write_text(BOTH)
    argv = [sys.executable, str(tmp_path / "both.py"), str(tmp_path), str(project.home / "cache/oci")]
    done = subprocess.run(argv, env=project.env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    here, there = ({path.name: path.read_bytes() for path in (tmp_path / n).glob("*.pyc")} for n in "01")
    assert here == there and len(here) > 10


@pytest.mark.usefixtures("image")
def test_a_compiled_image_compiles_nothing_but_the_service(project: Project) -> None:
    """It takes the base's own release of Python, which `scripts/test` installs; its bytecode is used by anybody."""
    compiled = f"{IMAGE}-compiled"
    done(project, "containerize", "worker:latest", *BASE, "-t", compiled, "--compile")
    try:
        with published(compiled, port=3456) as (container, address):
            assert call(address, "who")["uid"] == 1034
            written = [line for line in docker("diff", container).splitlines() if line.endswith(".pyc")]
            names = {line.rpartition("/")[2].partition(".")[0] for line in written}
            assert names - {"sitecustomize"} == {"service"}, "the former is Debian's link to a file in /etc"
    finally:
        docker("rmi", "--force", compiled)
