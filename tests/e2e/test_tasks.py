"""Tasks in a real server: nothing is lost, whoever is killed and whenever, and who lives runs each task once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.runtime.running import Running, refuses, running, until
from tests.support import Project

SERVICE = """
    import asyncio, os, time
    from pathlib import Path
    import bentoml

    def note(line):
        with open(os.environ["RUNS"], "a") as runs:
            runs.write(f"{line}\\n")

    @bentoml.service(tasks={"attempts": 50, "ttl": 600}, threads=4)
    class Jobs:
        @bentoml.task
        async def add(self, n: int, seconds: float = 0.0, until: str = "") -> int:
            note(f"{n} {os.getpid()}")
            await asyncio.sleep(seconds)
            while until and not Path(until).exists():
                await asyncio.sleep(0.01)
            return n + 1

        @bentoml.task
        def labour(self, n: int, seconds: float = 0.0, until: str = "") -> int:
            note(f"{n} {os.getpid()}")
            time.sleep(seconds)
            while until and not Path(until).exists():
                time.sleep(0.01)
            return n + 1

        @bentoml.task
        def large(self, file: Path) -> Path:
            out = file.with_name("out.bin")
            out.write_bytes(file.read_bytes() * 2)
            return out
"""

pytestmark = pytest.mark.slow


class Jobs:
    """One server of the service above, by its HTTP interface."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.address = urlsplit(server.url()).netloc

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        connection = HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, body, {"content-type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def submit(self, path: str = "/add", **arguments: Any) -> str:
        code, body = self.ask("POST", f"{path}/submit", json.dumps(arguments).encode())
        assert code == 200, body
        return str(json.loads(body)["task_id"])

    def status(self, id: str, path: str = "/add") -> dict[str, Any]:
        code, body = self.ask("GET", f"{path}/status?task_id={id}")
        assert code == 200, body
        state: dict[str, Any] = json.loads(body)
        return state

    def result(self, id: str, path: str = "/add", timeout: float = 120) -> bytes:
        found: list[tuple[int, bytes]] = []

        def ended() -> bool:
            with suppress(OSError, HTTPException):  # of a worker that is killed now
                if self.status(id, path)["status"] in ("completed", "failed"):
                    found.append(self.ask("GET", f"{path}/get?task_id={id}"))
            return bool(found)

        until(ended, lambda: f"{path} has not ended: {self.status(id, path)}\n{self.server.text()}", timeout)
        code, body = found[0]
        assert code == 200, body
        return body


@pytest.fixture
def runs(project: Project, tmp_path: Path) -> Path:
    project.write(service_py=SERVICE)
    project.env["RUNS"] = str(tmp_path / "runs")
    (tmp_path / "runs").touch()
    return tmp_path / "runs"


@contextmanager
def serving(project: Project, *arguments: str) -> Iterator[Jobs]:
    argv = [sys.executable, "-m", "bentoml", "serve", "service:Jobs", "--port", "0", *arguments]
    with running(argv, cwd=project.folder, env=project.env) as server:
        yield Jobs(server)


def ran(runs: Path) -> Counter[int]:
    return Counter(int(line.split()[0]) for line in runs.read_text().splitlines())


def test_a_thousand_tasks_over_two_workers_run_once_each(project: Project, runs: Path) -> None:
    with serving(project, "--workers", "2") as jobs:
        ids: dict[str, int] = {}
        numbers = iter(range(1000))

        def submit() -> None:
            for n in numbers:
                ids[jobs.submit(n=n, seconds=0.002)] = n

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids) == 1000
        for id, n in ids.items():
            assert jobs.result(id) == str(n + 1).encode()
    assert ran(runs) == Counter(range(1000))
    by_worker = Counter(line.split()[1] for line in runs.read_text().splitlines())
    assert min(by_worker.values()) > 50, by_worker


def test_a_worker_that_is_killed_loses_nothing(project: Project, runs: Path) -> None:
    with serving(project, "--workers", "2") as jobs:
        ids = {jobs.submit("/labour", n=n, seconds=0.3): n for n in range(10)}
        until(lambda: len(ran(runs)) >= 3, runs.read_text)
        victim = int(runs.read_text().splitlines()[-1].split()[1])
        os.kill(victim, signal.SIGKILL)
        for id, n in ids.items():
            assert jobs.result(id, "/labour") == str(n + 1).encode()
    counts = ran(runs)
    assert set(counts) == set(range(10))
    assert sum(counts.values()) <= 11, "only what the dead worker ran was run again"


def test_the_server_is_killed_at_random_points(project: Project, runs: Path) -> None:
    """Twenty times: submit in the background, `kill -9` everything after some, start again on the same home."""
    dice = random.Random(20)
    promised: dict[str, int] = {}
    numbers = iter(range(10_000))
    canceled: set[str] = set()
    for _ in range(20):
        with serving(project, "--workers", "2") as jobs:
            assert all(
                jobs.status(id)["status"] for id in dice.sample(sorted(promised), min(20, len(promised)))
            )
            submitting = threading.Thread(
                target=_submit_until_it_fails, args=(jobs, numbers, promised, canceled)
            )
            submitting.start()
            enough = len(promised) + dice.randrange(25)
            until(lambda: len(promised) >= enough, lambda: "nothing is submitted")  # noqa: B023  # it is now that it is called
            time.sleep(dice.uniform(0.0, 0.02))
            for pid in [*jobs.server.pids(), jobs.server.process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            jobs.server.process.wait()
            submitting.join()
    with serving(project, "--workers", "2") as jobs:
        for id, n in promised.items():
            if id in canceled:
                assert jobs.status(id)["status"] == "canceled"
            elif n % 7 or jobs.status(id)["status"] != "canceled":  # killed between that and its answer
                assert jobs.result(id) == str(n + 1).encode(), jobs.status(id)
    assert len(promised) > 100
    assert len(canceled) > 5
    _assert_sound(project)


def _submit_until_it_fails(
    jobs: Jobs, numbers: Iterator[int], promised: dict[str, int], canceled: set[str]
) -> None:
    with suppress(OSError, HTTPException):
        for n in numbers:
            id = jobs.submit(n=n, seconds=0.01)
            promised[id] = n
            if n % 7 == 0 and jobs.ask("PUT", f"/add/cancel?task_id={id}")[0] == 200:
                canceled.add(id)


def _assert_sound(project: Project) -> None:
    """The database is whole, and no file is left that no task has."""
    import sqlite3

    (file,) = project.home.glob("state/*/tasks/tasks.db")
    db = sqlite3.connect(file)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        named = {
            row[0] for table in ("requests", "replies") for row in db.execute(f"SELECT file FROM {table}")
        }
    finally:
        db.close()
    assert {p.name for p in (file.parent / "bodies").iterdir()} <= named


def test_two_servers_share_a_queue(project: Project, runs: Path) -> None:
    with serving(project) as one, serving(project) as two:
        ids = [one.submit(n=n, seconds=0.02) for n in range(60)]
        assert [two.result(id) for id in ids] == [str(n + 1).encode() for n in range(60)]
        assert ran(runs) == Counter(range(60))
        assert len({line.split()[1] for line in runs.read_text().splitlines()}) == 2, "both work"
        last = one.submit(n=1000, seconds=60)
        until(lambda: one.status(last)["status"] == "in_progress", lambda: "not taken")
        assert two.ask("PUT", f"/add/cancel?task_id={last}")[0] == 200
        assert one.status(last)["status"] == "canceled"
        again = one.submit(n=7)
        assert one.result(again) == b"8"
    with serving(project) as three:
        assert three.result(ids[0]) == b"1", "a server that starts deletes nothing"


def test_two_services_of_one_name_have_nothing_in_common(
    project: Project, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Project(tmp_path / "other", project.home).write(service_py=SERVICE)
    other.env["RUNS"] = str(runs)
    with serving(project) as mine, serving(other) as theirs:
        id = mine.submit(n=1)
        assert mine.result(id) == b"2"
        assert theirs.ask("GET", f"/add/status?task_id={id}")[0] == 404


def test_a_task_that_kills_its_worker_is_given_up(project: Project, runs: Path) -> None:
    project.write(
        service_py="""
        import os, signal
        import bentoml

        @bentoml.service(tasks={"attempts": 2})
        class Jobs:
            @bentoml.task
            def die(self) -> None:
                os.kill(os.getpid(), signal.SIGKILL)

            @bentoml.task
            def add(self, n: int) -> int:
                return n + 1
        """
    )
    with serving(project) as jobs:
        id = jobs.submit("/die")
        assert jobs.server.said("was ended by signal (SIGKILL)", 2)

        def failed() -> bool:
            with suppress(OSError, HTTPException):
                return bool(jobs.status(id, "/die")["status"] == "failed")
            return False

        until(failed, jobs.server.text)
        code, body = jobs.ask("GET", f"/die/get?task_id={id}")
        assert (code, b"died" in body) == (500, True)
        assert jobs.result(jobs.submit("/add", n=1)) == b"2"


def test_a_server_that_is_told_to_end_lets_tasks_end_or_gives_them_back(project: Project, runs: Path) -> None:
    one, other = (project.folder / name for name in ("one", "other"))
    with serving(project, "--timeout-graceful-shutdown", "60") as jobs:
        short = jobs.submit(n=1, until=str(one))
        until(lambda: jobs.status(short)["status"] == "in_progress", lambda: "not taken")
        waiting = jobs.submit(n=2)
        jobs.server.process.terminate()
        jobs.server.said("Stopping")
        until(lambda: refuses(f"http://{jobs.address}"), lambda: "it goes on listening")
        one.touch()
        assert jobs.server.wait() == 0
    with serving(project, "--timeout-graceful-shutdown", "1") as jobs:
        assert jobs.status(short)["status"] == "completed"
        assert jobs.result(waiting) == b"3"
        long = jobs.submit("/labour", n=3, until=str(other))
        until(lambda: jobs.status(long, "/labour")["status"] == "in_progress", lambda: "not taken")
        jobs.server.stop()
        assert "given back" in jobs.server.text()
    other.touch()
    with serving(project) as jobs:
        assert jobs.result(long, "/labour") == b"4"
    assert ran(runs) == Counter({1: 1, 2: 1, 3: 2})


def test_no_room_on_the_disk(project: Project, runs: Path, tmp_path: Path) -> None:
    """A submission that cannot be kept is refused, and what was kept stays."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(small)], check=True)
    try:
        project.env["BENTOML_RESULT_STORE"] = str(small / "tasks.db")
        with serving(project) as jobs:
            kept = jobs.submit(n=1)
            assert jobs.result(kept) == b"2"
            form = {"content-type": "multipart/form-data; boundary=b"}
            head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
            code, body = jobs.ask("POST", "/large/submit", head + bytes(3_000_000) + b"\r\n--b--\r\n", **form)
            assert (code, b"no room" in body) == (507, True)
            waiting = jobs.submit(n=2, seconds=1)
            (small / "ballast").write_bytes(b"")
            with suppress(OSError), (small / "ballast").open("wb", buffering=0) as ballast:
                while ballast.write(bytes(4096)):
                    pass
            refused = [
                jobs.ask("POST", "/labour/submit", json.dumps({"n": n, "seconds": 0}).encode())
                for n in range(200)
            ]
            assert {code for code, _ in refused} <= {200, 507}
            assert refused[-1][0] == 507
            (small / "ballast").unlink()
            assert jobs.result(waiting) == b"3", "its answer waited for room"
            for code, answer in refused:
                if code == 200:
                    jobs.result(json.loads(answer)["task_id"], "/labour")
            assert jobs.result(kept) == b"2"
            assert jobs.result(jobs.submit(n=5)) == b"6"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_damaged_database_stops_the_start(project: Project, runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "damaged.db"
    file.write_bytes(b"this is no database" * 1000)
    project.env["BENTOML_RESULT_STORE"] = str(file)
    done = project.bentoml("serve", "service:Jobs", "--port", "0")
    assert done.returncode == 1
    assert f"the task queue `{file}` is damaged" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert file.read_bytes() == b"this is no database" * 1000


def test_an_idle_worker_costs_next_to_nothing(project: Project, runs: Path) -> None:
    with serving(project) as jobs:
        jobs.result(jobs.submit(n=1))
        (pid,) = jobs.server.pids()
        before = _cpu(pid)
        time.sleep(5)
        assert (_cpu(pid) - before) / 5 < 0.01  # half of it is the server's own clock


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
