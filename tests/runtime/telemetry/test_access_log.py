"""The access log: its line, when it is written, and what a client cannot do to it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
import tracemalloc
from datetime import datetime
from typing import Any

import pytest

from bentoml.runtime.telemetry.access_log import AccessLog, Entry, Fields

DEFAULT = Fields()


def entry(
    path: str = "/x",
    client: tuple[str, int] | None = ("127.0.0.1", 43142),
    sent: bytes = b"",
    sent_length: bytes = b"",
) -> Entry:
    request = client, "http", "POST", path, sent, sent_length
    return (*request, 200, b"application/json", b"74", 4.687, 0xABC, 0xDEF, 0)


def written(*entries: Entry, fields: Fields = DEFAULT) -> list[str]:
    """Return what is written, one string for each write."""
    out: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        log = AccessLog("Iris%", component="entry_service:Iris:1", fields=fields, loop=loop, write=out.append)
        for one in entries:
            log.append(one)
        assert out == []
        await asyncio.sleep(0.05)
        log.close()

    asyncio.run(main())
    return out


def test_the_line() -> None:
    (text,) = written(entry(sent=b"application/json", sent_length=b"2"))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[INFO\] \[entry_service:Iris:1\] 127\.0\.0\.1:43142 "
        r"\(scheme=http,method=POST,path=/x,type=application/json,length=2\) "
        r"\(status=200,type=application/json,length=74\) 4\.687ms "
        r"\(trace=00000000000000000000000000000abc,span=0000000000000def,sampled=0,service\.name=Iris%\)\n",
        text,
    )


def test_lines_of_a_moment_are_written_at_once() -> None:
    (text,) = written(*[entry(f"/{i}") for i in range(5)])
    assert [line.split("path=")[1].split(",")[0] for line in text.splitlines()] == [f"/{i}" for i in range(5)]


def test_fields_that_are_not_wanted() -> None:
    (text,) = written(entry(), fields=Fields(False, False, False, False, "x", "d"))
    assert "(scheme=http,method=POST,path=/x) (status=200) 4.687ms (trace=abc,span=3567,sampled=0" in text


def test_a_client_cannot_forge_a_line() -> None:
    (text,) = written(entry("/a\n2026 [ERROR] forged", sent=b"a\r\x1b[31mb", client=None))
    assert len(text.splitlines()) == 1
    assert "path=/a\\n2026" in text
    assert "\x1b" not in text
    assert "] -:0 (" in text


def test_long_paths_are_not_remembered() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        log = AccessLog("A", component="a", fields=DEFAULT, loop=loop, write=lambda text: None)
        tracemalloc.start()
        for number in range(200):
            log.append(entry(f"/{number}/{'x' * 50_000}"))
            log.flush()
        kept = tracemalloc.get_traced_memory()[0]
        log.close()
        return kept

    try:
        assert asyncio.run(main()) < 1_000_000  # of 10 MB
    finally:
        tracemalloc.stop()


def test_json() -> None:
    (text,) = written(
        entry("/x\n\u2028\ud800é", sent=b"text/plain", sent_length=b"2"),
        entry("/y", sent_length=b"a lot"),
        fields=Fields(as_json=True),
    )
    first, second = map(json.loads, text.removesuffix("\n").split("\n"))
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {
        "level": "INFO",
        "logger": "bentoml.access",
        "component": "entry_service:Iris:1",
        "client": "127.0.0.1:43142",
        "scheme": "http",
        "method": "POST",
        "path": "/x\n\u2028\\ud800é",
        "status": 200,
        "request_type": "text/plain",
        "request_length": 2,
        "response_type": "application/json",
        "response_length": 74,
        "duration_ms": 4.687,
        "trace_id": "00000000000000000000000000000abc",
        "span_id": "0000000000000def",
        "sampled": False,
        "service": "Iris%",
    }
    assert second["request_length"] == "a lot"


def test_json_without_what_is_not_wanted() -> None:
    (text,) = written(
        entry(sent=b"a", sent_length=b"1"), fields=Fields(False, False, False, False, as_json=True)
    )
    assert not {"request_type", "request_length", "response_type", "response_length"} & set(json.loads(text))


def test_a_logger_that_the_user_configured_gets_records() -> None:
    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger = logging.getLogger("bentoml.access")
    handler, level = Handler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        assert written(entry("/1"), entry("/2")) == []
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert ["path=/1" in records[0].getMessage(), "path=/2" in records[1].getMessage()] == [True, True]


def test_a_log_that_is_not_wanted_is_not_written() -> None:
    logger = logging.getLogger("bentoml")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        assert written(entry()) == []
    finally:
        logger.setLevel(level)


CRASH = """
import asyncio, logging
from bentoml.runtime.telemetry.access_log import AccessLog, Entry, Fields
logging.getLogger("bentoml").setLevel(logging.INFO)
async def main():
    log = AccessLog("S", component="c", fields=Fields(), loop=asyncio.get_running_loop())
    log.append((None, "http", "POST", "/last", b"", b"", 200, b"", b"", 0.1, 1, 2, 0))
    raise SystemExit(3)
asyncio.run(main())
"""


def test_what_is_there_is_written_when_the_process_ends() -> None:
    done = subprocess.run([sys.executable, "-c", CRASH], stdout=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert b"path=/last" in done.stdout


@pytest.fixture(autouse=True)
def _info_level() -> Any:
    logger = logging.getLogger("bentoml")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(level)
