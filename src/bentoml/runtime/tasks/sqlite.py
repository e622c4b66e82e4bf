"""A task queue in an SQLite database that all processes of a service share."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .bodies import Bodies
from .database import connect, identity, told
from .figures import Figures, bucket_of
from .model import Claimed, Headers, Refused, Reply, StoredRequest, TaskState
from .place import Place
from .queue import TaskStoreError

__all__ = ["Limits", "SqliteQueue"]

_LOST = json.dumps({"error": "the worker that ran this task died, as often as it may be tried"}).encode()
_LONGEST_DELAY = 60.0
_AT_ONCE = 200  # expired tasks that are forgotten in one step

_INSERT = """
    INSERT INTO tasks (id, service, api, status, created_at, due_at) VALUES (?, ?, ?, 'pending', ?, ?) RETURNING seq
"""
_DUE = "SELECT seq FROM tasks WHERE service = ? AND status = 'pending' AND due_at <= ?"
_CLAIM = """
    UPDATE tasks SET status = 'in_progress', owner = ?, attempts = attempts + 1, executed_at = ?
    WHERE seq IN ({due} AND api IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?)
    RETURNING seq, id, api, attempts
"""
_END = """
    UPDATE tasks SET status = ?, completed_at = ?, owner = NULL
    WHERE id = ? AND owner = ? AND status = 'in_progress' RETURNING seq, api
"""
_ABANDONED = "SELECT seq, api, attempts FROM tasks WHERE service = ? AND owner = ? AND status = 'in_progress'"
_COUNT = """
    INSERT INTO totals VALUES (?, ?, ?, ?, 1, ?)
    ON CONFLICT DO UPDATE SET number = number + 1, seconds = seconds + excluded.seconds
"""


@dataclass(frozen=True)
class Limits:
    """How long results are kept (seconds), how often a task may lose its worker, how many may wait."""

    ttl: float = 86400.0
    attempts: int = 3
    max_pending: int = 100_000


class SqliteQueue:
    """The tasks of one service, seen from one process; see ``TaskQueue``."""

    def __init__(
        self,
        place: Place,
        limits: Limits,
        *,
        namespace: str = "bentoml_service",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._place = place
        self._limits = limits
        self._service = place.service
        self._namespace = namespace
        self._clock = clock
        self._db = connect(place.database)
        self._identity = identity(place.database)
        self._temporary: TemporaryDirectory[str] | None = None
        self._room = 0
        self._version = 0
        try:
            with told(place.database):
                self.bodies = Bodies(place.folder or self._own_folder())
        except BaseException:
            self._db.close()
            raise
        self._me = self.bodies.owner.name

    @contextmanager
    def together(self, *, writes: bool = True) -> Iterator[None]:
        """Do all of the block or nothing."""
        with told(self._place.database):
            if (
                identity(self._place.database) != self._identity
            ):  # SQLite goes on in a file that nobody finds again
                raise TaskStoreError(
                    f"the task queue `{self._place.database}` was removed or replaced while it is in use; restart the server"
                )
            self._db.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk may have ended the transaction already
                    self._db.execute("ROLLBACK")
                raise

    def submit(self, api: str, id: str, request: StoredRequest) -> Refused | None:
        """Add a task."""
        if not self._has_room():
            return "full"
        head = json.dumps([request.headers, request.query, request.client, request.scheme])
        self._add(api, id, head, *self.bodies.columns(request.body))
        return None

    def claim(self, apis: Collection[str], limit: int) -> list[Claimed]:
        """Take the oldest tasks that are due."""
        now = self._clock()
        names = json.dumps(list(apis))
        rows = self._db.execute(
            _CLAIM.format(due=_DUE), (self._me, now, self._service, now, names, limit)
        ).fetchall()
        return [Claimed(id, api, attempts, self._request(seq)) for seq, id, api, attempts in sorted(rows)]

    def finish(self, id: str, reply: Reply, seconds: float) -> bool:
        """Keep an answer, if the task is still ours."""
        row = self._db.execute(_END, (reply.status, self._clock(), id, self._me)).fetchone()
        if row is None:
            return False
        seq, api = row
        self._keep(seq, api, reply, seconds)
        return True

    def release(self, ids: Sequence[str]) -> None:
        """Let tasks wait again."""
        self._db.executemany(
            "UPDATE tasks SET status = 'pending', owner = NULL, executed_at = NULL, attempts = attempts - 1 "
            "WHERE id = ? AND owner = ? AND status = 'in_progress'",
            [(id, self._me) for id in ids],
        )

    def status(self, api: str, id: str) -> TaskState | None:
        """Return where a task stands."""
        found = self._find(api, id)
        return None if found is None else found[1]

    def result(self, api: str, id: str) -> Reply | Refused:
        """Return an answer; one that was canceled has none."""
        found = self._find(api, id)
        if found is None:
            return "missing"
        seq, state = found
        if state.status not in ("completed", "failed"):
            return "canceled" if state.status == "canceled" else "unfinished"
        head, body, file = self._db.execute(
            "SELECT head, body, file FROM replies WHERE seq = ?", (seq,)
        ).fetchone()
        code, headers = json.loads(head)
        return Reply(code, _headers(headers), self.bodies.body(body, file))

    def retry(self, api: str, id: str, new_id: str) -> Refused | None:
        """Submit the input of a task that has ended once more."""
        found = self._find(api, id)
        if found is None:
            return "missing"
        seq, state = found
        if state.completed_at is None:
            return "unfinished"
        if not self._has_room():
            return "full"
        head, body, file = self._db.execute(
            "SELECT head, body, file FROM requests WHERE seq = ?", (seq,)
        ).fetchone()
        self._add(api, new_id, head, body, file and self.bodies.shared(file))
        return None

    def cancel(self, api: str, id: str) -> Refused | None:
        """End a task that nobody wants."""
        found = self._find(api, id)
        if found is None:
            return "missing"
        seq, state = found
        if state.completed_at is not None:
            return None if state.status == "canceled" else "ended"
        self._db.execute(
            "UPDATE tasks SET status = 'canceled', completed_at = ? WHERE seq = ?", (self._clock(), seq)
        )
        self._count(api, "canceled", 0.0)
        return None

    def canceled(self, ids: Collection[str]) -> list[str]:
        """Return those that were canceled."""
        if not ids:
            return []
        return [
            id
            for (id,) in self._db.execute(
                "SELECT id FROM tasks WHERE id IN (SELECT value FROM json_each(?)) AND status = 'canceled'",
                (json.dumps(list(ids)),),
            )
        ]

    def changed(self) -> bool:
        """Tell whether another connection wrote."""
        with told(self._place.database):
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
        same, self._version = version == self._version, version
        return not same

    def tend(self) -> bool:
        """Look after what others left and what is old; without writing where there is nothing of the kind."""
        self._room = 0
        with told(self._place.database):
            now = self._clock()
            dead = [owner for owner in self._others() if not self.bodies.is_alive(owner)]
            if dead or self._expired(now):
                with self.together():
                    for owner in dead:
                        self._take_up(owner, now)
                    files = self._forget(self._expired(now))
                self.bodies.delete(files)  # afterwards: a row never names a file that is not there
            self.bodies.sweep(self._is_named)
            return self._db.execute(f"{_DUE} LIMIT 1", (self._service, now)).fetchone() is not None

    def numbers(self) -> str:
        """Return the metrics."""
        totals = self._db.execute(
            "SELECT api, status, bucket, number, seconds FROM totals WHERE service = ?", (self._service,)
        ).fetchall()
        now = self._db.execute(
            "SELECT api, status, count(*) FROM tasks WHERE service = ? GROUP BY api, status", (self._service,)
        ).fetchall()
        return Figures(self._namespace).page(totals, now)

    def close(self) -> None:
        """Let go."""
        self.bodies.close()
        self._db.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _own_folder(self) -> Path:
        self._temporary = TemporaryDirectory(prefix="bentoml-tasks-")
        return Path(self._temporary.name)

    def _has_room(self) -> bool:
        """Tell whether another task may wait; they are counted once for as many as there is room for."""
        if self._room <= 0:
            count = "SELECT count(*) FROM tasks WHERE service = ? AND status = 'pending'"
            self._room = self._limits.max_pending - self._db.execute(count, (self._service,)).fetchone()[0]
        self._room -= 1
        return self._room >= 0

    def _add(self, api: str, id: str, head: str, body: bytes | None, file: str | None) -> None:
        now = self._clock()
        (seq,) = self._db.execute(_INSERT, (id, self._service, api, now, now)).fetchone()
        self._db.execute("INSERT INTO requests VALUES (?, ?, ?, ?)", (seq, head, body, file))

    def _request(self, seq: int) -> StoredRequest:
        head, body, file = self._db.execute(
            "SELECT head, body, file FROM requests WHERE seq = ?", (seq,)
        ).fetchone()
        headers, query, client, scheme = json.loads(head)
        return StoredRequest(
            _headers(headers), query, client and (client[0], client[1]), scheme, self.bodies.body(body, file)
        )

    def _keep(self, seq: int, api: str, reply: Reply, seconds: float) -> None:
        head = json.dumps([reply.code, reply.headers])
        self._db.execute(
            "INSERT INTO replies VALUES (?, ?, ?, ?)", (seq, head, *self.bodies.columns(reply.body))
        )
        self._count(api, reply.status, seconds)

    def _count(self, api: str, status: str, seconds: float) -> None:
        self._db.execute(_COUNT, (self._service, api, status, bucket_of(seconds), seconds))

    def _find(self, api: str, id: str) -> tuple[int, TaskState] | None:
        """Return a task of an API, unless its time is over."""
        row = self._db.execute(
            "SELECT seq, status, created_at, executed_at, completed_at FROM tasks WHERE id = ? AND service = ? AND api = ?",
            (id, self._service, api),
        ).fetchone()
        if row is None or (row[4] is not None and row[4] < self._clock() - self._limits.ttl):
            return None
        return row[0], TaskState(id, *row[1:])

    def _others(self) -> list[str]:
        return [
            owner
            for (owner,) in self._db.execute(
                "SELECT DISTINCT owner FROM tasks WHERE service = ? AND status = 'in_progress' AND owner != ?",
                (self._service, self._me),
            )
        ]

    def _take_up(self, owner: str, now: float) -> None:
        """Let the tasks of a dead process wait again, or give up on them."""
        for seq, api, attempts in self._db.execute(_ABANDONED, (self._service, owner)).fetchall():
            if attempts >= self._limits.attempts:
                self._db.execute(
                    "UPDATE tasks SET status = 'failed', owner = NULL, completed_at = ? WHERE seq = ?",
                    (now, seq),
                )
                self._keep(seq, api, Reply(500, (("content-type", "application/json"),), _LOST), 0.0)
            else:
                due = now + min(2.0 ** (attempts - 1), _LONGEST_DELAY)
                self._db.execute(
                    "UPDATE tasks SET status = 'pending', owner = NULL, due_at = ? WHERE seq = ?", (due, seq)
                )

    def _expired(self, now: float) -> list[int]:
        rows = self._db.execute(
            "SELECT seq FROM tasks WHERE service = ? AND completed_at < ? LIMIT ?",
            (self._service, now - self._limits.ttl, _AT_ONCE),
        )
        return [seq for (seq,) in rows]

    def _forget(self, tasks: list[int]) -> list[str]:
        """Delete tasks; return the files that nothing names any more."""
        files: list[str] = []
        for seq in tasks:
            for table in ("requests", "replies"):
                for (file,) in self._db.execute(
                    f"DELETE FROM {table} WHERE seq = ? RETURNING file", (seq,)
                ).fetchall():
                    files += [file] if file else []
            self._db.execute("DELETE FROM tasks WHERE seq = ?", (seq,))
        return files

    def _is_named(self, file: str) -> bool:
        """Tell whether any task, of whatever service, names a file."""
        return any(
            self._db.execute(f"SELECT 1 FROM {table} WHERE file = ?", (file,)).fetchone() is not None
            for table in ("requests", "replies")
        )


def _headers(pairs: list[list[str]]) -> Headers:
    return tuple((name, value) for name, value in pairs)
