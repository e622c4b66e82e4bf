"""The SQLite database of a queue: opened, made, and its errors told in our words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from .queue import TaskStoreError, TaskStoreFull

__all__ = ["connect", "identity", "told"]

_VERSION = 1  # of the schema below, in `user_version`
_PATIENCE = 30.0  # seconds for which another process may hold the database
_CHECKED = 16 << 20  # bytes up to which a database is looked through when it is opened

_SCHEMA = f"""
CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    service TEXT NOT NULL,
    api TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    created_at REAL NOT NULL,
    due_at REAL NOT NULL,
    executed_at REAL,
    completed_at REAL
);
CREATE INDEX pending ON tasks (service, seq) WHERE status = 'pending';
CREATE INDEX running ON tasks (service, owner) WHERE status = 'in_progress';
CREATE INDEX ended ON tasks (service, completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX numbers ON tasks (service, api, status);
CREATE TABLE requests (seq INTEGER PRIMARY KEY, head TEXT NOT NULL, body BLOB, file TEXT);
CREATE TABLE replies (seq INTEGER PRIMARY KEY, head TEXT NOT NULL, body BLOB, file TEXT);
CREATE INDEX request_files ON requests (file) WHERE file IS NOT NULL;
CREATE INDEX reply_files ON replies (file) WHERE file IS NOT NULL;
CREATE TABLE totals (
    service TEXT, api TEXT, status TEXT, bucket INTEGER, number INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (service, api, status, bucket)
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""


def connect(file: Path | None) -> sqlite3.Connection:
    """Open the database, which is made if it is not there; without a file it is in memory.

    Raises:
        TaskStoreError: it is damaged, of another version, or cannot be read and written.
    """
    with told(file):
        if file is None:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            connection.executescript(_SCHEMA)
            return connection
        _make_private(file)
        connection = sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, file)
        except BaseException:
            connection.close()
            raise
        return connection


def identity(file: Path | None) -> tuple[int, int]:
    """Return what tells a file from any other, also from a later one of the same name; of a missing one (0, 0)."""
    try:
        found = os.stat(file or "")
    except FileNotFoundError:
        return (0, 0)
    return found.st_dev, found.st_ino


@contextmanager
def told(file: Path | None) -> Iterator[None]:
    """Raise what SQLite and the system say about the database as what it means to whoever runs the server.

    Raises:
        TaskStoreFull: there is no room on the disk.
        TaskStoreError: anything else.
    """
    where = "in memory" if file is None else f"`{file}`"
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", None) or 0
        match code & 0xFF:
            case sqlite3.SQLITE_FULL:
                raise TaskStoreFull(f"there is no room on the disk for the task queue {where}") from e
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise TaskStoreError(
                    f"the task queue {where} is damaged: {' '.join(str(e).split())}; move it away (with the files beside it that begin with its "
                    "name) to start with an empty one; `sqlite3 FILE .recover` saves what can be read"
                ) from e
        raise TaskStoreError(f"the task queue {where} cannot be used: {e}") from e
    except OSError as e:
        raise TaskStoreError(
            f"the task queue {where} cannot be used: {e}; `BENTOML_RESULT_STORE` names another place"
        ) from e


def _make_private(file: Path) -> None:
    """Make the database file, and its folder, for this user alone; SQLite gives its other files the rights of the first."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # what has been answered is on the disk
    version = _version(connection)
    if version == 0:
        _make(connection)
    elif version != _VERSION:
        raise TaskStoreError(
            f"the task queue `{file}` was made by another version of this library (its format is {version}, not {_VERSION}); "
            "let that version finish its tasks, or name another place with `BENTOML_RESULT_STORE`"
        )
    if file.stat().st_size <= _CHECKED:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            error = sqlite3.DatabaseError(found)
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error


def _make(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process has made them meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) == 0:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        return int(cursor.fetchone()[0])
