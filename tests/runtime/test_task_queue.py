"""The queue in its database: what is kept, who may take it, and what becomes of what the dead leave."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bentoml.runtime.tasks.model import Reply, StoredRequest
from bentoml.runtime.tasks.owners import Owner, is_alive
from bentoml.runtime.tasks.place import Place
from bentoml.runtime.tasks.queue import TaskStoreError
from bentoml.runtime.tasks.sqlite import Limits, SqliteQueue

REQUEST = StoredRequest((("x-one", "1"),), "a=b", ("127.0.0.1", 7), "http", b"body")
REPLY = Reply(200, (("content-type", "text/plain"),), b"answer")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


Open = Callable[..., SqliteQueue]


@pytest.fixture
def open_queue(tmp_path: Path, clock: Clock) -> Iterator[Open]:
    """Opens queues of one database, as several processes have it."""
    opened: list[SqliteQueue] = []

    def open_one(service: str = "s", **limits: float) -> SqliteQueue:
        place = Place(service, tmp_path / "tasks.db", tmp_path)
        opened.append(SqliteQueue(place, Limits(**limits), clock=clock))  # type: ignore[arg-type]  # whole numbers where needed
        return opened[-1]

    yield open_one
    for queue in opened:
        queue.close()


def die(queue: SqliteQueue) -> None:
    """Do to a queue's process what `kill -9` does: its lock is gone, its file is still there."""
    queue.bodies.owner._forget()
    queue.bodies.owner._forget = lambda: None  # type: ignore[method-assign]  # closed already
    queue.bodies.owner.close = lambda: None  # type: ignore[method-assign]  # a dead process does not clean up


def status(queue: SqliteQueue, id: str, api: str = "/a") -> str | None:
    state = queue.status(api, id)
    return None if state is None else state.status


def test_from_submission_to_result(open_queue: Open, clock: Clock) -> None:
    queue = open_queue()
    assert queue.submit("/a", "one", REQUEST) is None
    assert status(queue, "one") == "pending"
    assert queue.result("/a", "one") == "unfinished"
    clock.now += 1
    (claimed,) = queue.claim(["/a"], 5)
    assert (claimed.id, claimed.api, claimed.attempt, claimed.request) == ("one", "/a", 1, REQUEST)
    assert status(queue, "one") == "in_progress"
    assert queue.claim(["/a"], 5) == []
    clock.now += 1
    assert queue.finish("one", REPLY, 1.0)
    assert queue.result("/a", "one") == REPLY
    state = queue.status("/a", "one")
    assert state is not None
    assert (state.created_at, state.executed_at, state.completed_at) == (1e6, 1e6 + 1, 1e6 + 2)


def test_an_answer_of_400_or_more_is_a_failure(open_queue: Open) -> None:
    queue = open_queue()
    for code, word in ((399, "completed"), (400, "failed"), (500, "failed")):
        queue.submit("/a", str(code), REQUEST)
        queue.claim(["/a"], 1)
        queue.finish(str(code), Reply(code, (), b""), 0.1)
        assert status(queue, str(code)) == word


def test_the_oldest_come_first_and_only_those_of_known_apis(open_queue: Open) -> None:
    queue = open_queue()
    for id, api in (("1", "/a"), ("2", "/gone"), ("3", "/b"), ("4", "/a")):
        queue.submit(api, id, REQUEST)
    assert [t.id for t in queue.claim(["/a", "/b"], 2)] == ["1", "3"]
    assert [t.id for t in queue.claim(["/a", "/b"], 2)] == ["4"]
    assert status(queue, "2", "/gone") == "pending"


def test_a_task_belongs_to_its_api_and_service(open_queue: Open) -> None:
    mine, other = open_queue("mine"), open_queue("other")
    mine.submit("/a", "1", REQUEST)
    assert mine.status("/b", "1") is None
    assert mine.result("/b", "1") == mine.retry("/b", "1", "2") == mine.cancel("/b", "1") == "missing"
    assert other.status("/a", "1") is None
    assert other.claim(["/a"], 1) == []
    assert status(mine, "1") == "pending"


def test_a_canceled_task_never_runs_and_keeps_no_answer(open_queue: Open) -> None:
    queue = open_queue()
    queue.submit("/a", "waits", REQUEST)
    assert queue.cancel("/a", "waits") is None
    assert queue.claim(["/a"], 1) == []
    queue.submit("/a", "runs", REQUEST)
    queue.claim(["/a"], 1)
    assert queue.canceled(["waits", "runs"]) == ["waits"]
    assert queue.cancel("/a", "runs") is None
    assert queue.cancel("/a", "runs") is None, "once more is fine"
    assert queue.canceled(["runs"]) == ["runs"]
    assert not queue.finish("runs", REPLY, 0.1)
    assert queue.result("/a", "runs") == "canceled"
    assert status(queue, "runs") == "canceled"


def test_what_has_ended_cannot_be_canceled(open_queue: Open) -> None:
    queue = open_queue()
    queue.submit("/a", "1", REQUEST)
    queue.claim(["/a"], 1)
    queue.finish("1", REPLY, 0.1)
    assert queue.cancel("/a", "1") == "ended"
    assert status(queue, "1") == "completed"


def test_retry_makes_a_task_of_the_same_input(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    spool = queue.bodies.spool()
    spool.write(b"x" * 100_000)
    body = asyncio.run(spool.settled())
    assert isinstance(body, Path)
    queue.submit("/a", "1", StoredRequest(REQUEST.headers, "", None, "https", body))
    assert queue.retry("/a", "1", "2") == "unfinished"
    queue.claim(["/a"], 1)
    queue.finish("1", REPLY, 0.1)
    assert queue.retry("/a", "1", "2") is None
    (second,) = queue.claim(["/a"], 1)
    assert isinstance(second.request.body, Path)
    assert second.request.body != body
    assert second.request.body.read_bytes() == b"x" * 100_000
    assert (second.id, second.attempt, second.request.scheme, second.request.client) == (
        "2",
        1,
        "https",
        None,
    )


def test_tasks_of_a_dead_process_are_run_again_a_little_later_and_not_for_ever(
    open_queue: Open, clock: Clock
) -> None:
    mine = open_queue(attempts=2)
    mine.submit("/a", "1", REQUEST)
    for attempt, delay in ((1, 1.0), (2, None)):
        other = open_queue(attempts=2)
        assert [t.attempt for t in other.claim(["/a"], 1)] == [attempt]
        assert not mine.tend()
        assert status(mine, "1") == "in_progress", "its process lives, however long it takes"
        die(other)
        mine.tend()
        assert mine.claim(["/a"], 1) == [], "not at once"
        assert not other.finish("1", REPLY, 0.1), "nobody else answers for it"
        if delay:
            clock.now += delay
            assert mine.tend(), "it waits, and is due"
    assert status(mine, "1") == "failed"
    reply = mine.result("/a", "1")
    assert isinstance(reply, Reply)
    assert reply.code == 500
    assert isinstance(reply.body, bytes)
    assert b"died" in reply.body


def test_what_is_given_back_was_no_attempt(open_queue: Open) -> None:
    queue = open_queue()
    queue.submit("/a", "1", REQUEST)
    queue.claim(["/a"], 1)
    queue.release(["1", "unknown"])
    state = queue.status("/a", "1")
    assert state is not None
    assert (state.status, state.executed_at) == ("pending", None)
    assert [t.attempt for t in queue.claim(["/a"], 1)] == [1]


def test_results_are_forgotten_with_their_files(open_queue: Open, clock: Clock, tmp_path: Path) -> None:
    queue = open_queue(ttl=10)
    for id in ("1", "2"):
        spool = queue.bodies.spool()
        spool.write(b"y" * 70_000)
        queue.submit("/a", id, StoredRequest((), "", None, "http", asyncio.run(spool.settled())))
        queue.claim(["/a"], 1)
    queue.finish("1", REPLY, 0.1)
    assert len(os.listdir(tmp_path / "bodies")) == 2
    clock.now += 9.9
    queue.tend()
    assert status(queue, "1") == "completed"
    clock.now += 0.2
    assert status(queue, "1") is None, "gone for the caller as soon as it is over"
    queue.tend()
    assert len(os.listdir(tmp_path / "bodies")) == 1
    assert status(queue, "2") == "in_progress", "what has not ended is kept"
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as db:
        left = db.execute("SELECT (SELECT count(*) FROM requests), (SELECT count(*) FROM replies)").fetchone()
    assert left == (1, 0)


def test_many_expired_tasks_go_step_by_step(open_queue: Open, clock: Clock, tmp_path: Path) -> None:
    queue = open_queue(ttl=1)
    with queue.together():
        for i in range(450):
            queue.submit("/a", str(i), REQUEST)
            queue.cancel("/a", str(i))
    clock.now += 2
    sizes = []
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as db:
        for _ in range(4):
            sizes.append(db.execute("SELECT count(*) FROM tasks").fetchone()[0])
            queue.tend()
    assert sizes == [450, 250, 50, 0]


def test_only_so_many_may_wait(open_queue: Open) -> None:
    queue = open_queue(max_pending=2)
    assert [queue.submit("/a", str(i), REQUEST) for i in range(4)] == [None, None, "full", "full"]
    queue.claim(["/a"], 1)
    assert queue.submit("/a", "5", REQUEST) is None
    queue.finish("0", REPLY, 0.1)
    assert queue.retry("/a", "0", "6") == "full"


def test_a_transaction_is_whole_or_nothing(open_queue: Open) -> None:
    queue = open_queue()
    with pytest.raises(KeyError), queue.together():
        queue.submit("/a", "1", REQUEST)
        raise KeyError
    assert status(queue, "1") is None
    with queue.together():
        queue.submit("/a", "2", REQUEST)
    assert status(open_queue(), "2") == "pending"


def test_another_process_sees_that_something_changed(open_queue: Open) -> None:
    one, two = open_queue(), open_queue()
    one.changed()
    assert not one.changed()
    two.submit("/a", "1", REQUEST)
    assert one.changed()
    assert not one.changed()


def test_what_a_dead_process_wrote_half_is_swept_away(open_queue: Open, tmp_path: Path) -> None:
    dead = open_queue()
    spool = dead.bodies.spool()
    spool.write(b"z" * 100_000)
    (left,) = os.listdir(tmp_path / "bodies")
    open_queue().tend()
    assert os.listdir(tmp_path / "bodies") == [left], "its process may still be at it"
    die(dead)
    open_queue().tend()
    assert os.listdir(tmp_path / "bodies") == []
    assert dead.bodies.owner.name not in os.listdir(tmp_path / "owners")
    spool.discard()


def test_everything_is_private(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    queue.submit("/a", "1", REQUEST)
    spool = queue.bodies.spool()
    spool.write(b"z" * 100_000)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*")}
    folders = {"bodies", "owners"}
    assert {name for name in modes if modes[name] == 0o700} == folders
    assert {modes[name] for name in modes if name not in folders} == {0o600}
    assert {"tasks.db", "tasks.db-wal"} <= set(modes)
    spool.discard()


@pytest.mark.parametrize("where", ["all", "middle"])
def test_a_damaged_database_is_named_and_left_alone(open_queue: Open, tmp_path: Path, where: str) -> None:
    file = tmp_path / "tasks.db"
    queue = open_queue()
    with queue.together():
        for i in range(200):
            queue.submit("/a", str(i), REQUEST)
    queue.close()
    queue.close = lambda: None  # type: ignore[method-assign]  # closed already
    content = bytearray(file.read_bytes())
    if where == "all":
        content[:] = b"junk" * (len(content) // 4)
    else:
        content[4096 * 3 : 4096 * 9] = b"junk" * (4096 * 6 // 4)
    file.write_bytes(content)
    with pytest.raises(TaskStoreError, match=r"is damaged.*move it away.*\.recover") as raised:
        open_queue()
    assert f"`{file}`" in str(raised.value)
    assert file.read_bytes() == content


@pytest.mark.parametrize("comes_back", [False, True])
def test_nothing_is_accepted_into_a_database_that_was_taken_away(
    open_queue: Open, tmp_path: Path, comes_back: bool
) -> None:
    queue = open_queue()
    (database,) = tmp_path.rglob("*.db")
    database.rename(tmp_path / "elsewhere")
    if comes_back:
        database.write_bytes((tmp_path / "elsewhere").read_bytes())
    with (
        pytest.raises(TaskStoreError, match="removed or replaced while it is in use; restart"),
        queue.together(),
    ):
        pass


def test_a_database_of_another_version_is_not_touched(open_queue: Open, tmp_path: Path) -> None:
    open_queue()
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(TaskStoreError, match="another version"):
        open_queue()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TaskStoreError, match="BENTOML_RESULT_STORE"):
        SqliteQueue(Place("s", tmp_path / "file" / "tasks.db", tmp_path / "file"), Limits())


def test_metrics(open_queue: Open) -> None:
    queue = open_queue()
    for i in range(3):
        queue.submit("/a", str(i), REQUEST)
    queue.claim(["/a"], 2)
    queue.finish("0", REPLY, 0.3)
    queue.cancel("/a", "1")
    text = queue.numbers()
    for line in (
        'bentoml_service_task_total{endpoint="/a",status="completed"} 1',
        'bentoml_service_task_total{endpoint="/a",status="canceled"} 1',
        'bentoml_service_task_duration_seconds_bucket{endpoint="/a",status="completed",le="0.1"} 0',
        'bentoml_service_task_duration_seconds_bucket{endpoint="/a",status="completed",le="0.5"} 1',
        'bentoml_service_task_duration_seconds_bucket{endpoint="/a",status="completed",le="+Inf"} 1',
        'bentoml_service_task_duration_seconds_count{endpoint="/a",status="completed"} 1',
        'bentoml_service_task_duration_seconds_sum{endpoint="/a",status="completed"} 0.3',
        'bentoml_service_tasks{endpoint="/a",status="pending"} 1',
    ):
        assert f"{line}\n" in text


FORKED = """
import os, pathlib, sys, time
from bentoml.runtime.tasks.owners import Owner
owner = Owner(pathlib.Path(sys.argv[1]))
if os.fork() == 0:  # it has a copy of everything, and is not the owner
    print(owner.name, os.getpid(), flush=True)
time.sleep(60)
"""


def test_an_owner_that_is_killed_is_dead_at_once_whatever_it_forked(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", FORKED, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name, child = process.stdout.readline().split()
        try:
            assert is_alive(tmp_path, name)
            process.kill()
            process.wait()
            os.kill(int(child), 0)
            assert not is_alive(tmp_path, name)
        finally:
            os.kill(int(child), signal.SIGKILL)


def test_an_owner_that_ends_leaves_nothing(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    assert is_alive(tmp_path, owner.name)
    owner.close()
    owner.close()
    assert not is_alive(tmp_path, owner.name)
    assert os.listdir(tmp_path) == []
