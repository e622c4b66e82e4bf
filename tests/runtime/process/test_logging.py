"""The format of the server's log."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import re
from collections.abc import Iterator

import pytest

from bentoml.runtime.process.logging import Trace, configure

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("bentoml", "uvicorn")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_a_line_says_when_how_grave_who_and_what() -> None:
    stream = io.StringIO()
    configure("entry_service:iris:1", logging.INFO, stream)
    logging.getLogger("bentoml.runtime.x").info("ready: %s", "yes", extra={"trace": " (trace=1)"})
    logging.getLogger("bentoml").debug("not shown")
    assert re.fullmatch(
        STAMP + r" \[INFO\] \[entry_service:iris:1\] ready: yes \(trace=1\)\n", stream.getvalue()
    )


def test_a_traceback_follows_its_line() -> None:
    stream = io.StringIO()
    configure("cli", logging.INFO, stream)
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("bentoml").exception("failed")
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("[ERROR] [cli] failed") and lines[-1] == "ValueError: why"


def test_the_component_can_be_replaced_and_lines_come_once() -> None:
    stream = io.StringIO()
    configure("worker:1", logging.INFO, stream)
    configure("entry_service:iris:1", logging.INFO, stream)
    logging.getLogger("bentoml").warning("hello")
    assert stream.getvalue().count("hello") == 1 and "[entry_service:iris:1]" in stream.getvalue()


def test_the_http_server_speaks_only_of_problems_and_the_root_logger_is_the_users() -> None:
    stream, handlers = io.StringIO(), list(logging.getLogger().handlers)
    configure("cli", logging.DEBUG, stream)
    logging.getLogger("uvicorn.error").info("chatter")
    logging.getLogger("uvicorn.error").warning("trouble")
    assert "chatter" not in stream.getvalue() and "trouble" in stream.getvalue()
    assert logging.getLogger().handlers == handlers


def test_json_has_the_ids_and_the_traceback_in_one_line() -> None:
    stream = io.StringIO()
    configure("entry_service:iris:1", logging.INFO, stream, as_json=True)
    trace = Trace("0abc", "0def", 1, "iris")
    try:
        raise ValueError("why\nnot")
    except ValueError:
        logging.getLogger("bentoml.x").exception("failed\n%s", "\ud800", extra={"trace": trace})
    (text,) = stream.getvalue().splitlines()
    line = json.loads(text)
    assert (line["level"], line["component"], line["logger"]) == (
        "ERROR",
        "entry_service:iris:1",
        "bentoml.x",
    )
    assert (line["trace_id"], line["span_id"], line["sampled"]) == ("0abc", "0def", True)
    assert line["message"] == "failed\n\ud800"
    assert "ValueError: why\nnot" in line["exception"]


def test_the_trace_as_text() -> None:
    assert str(Trace("a", "b", 0, "iris")) == " (trace=a,span=b,sampled=0,service.name=iris)"


def test_a_configuration_of_the_users_does_not_silence_the_server() -> None:
    stream = io.StringIO()
    logger = logging.getLogger("bentoml.runtime.y")
    before = {
        name: found.disabled
        for name, found in logging.root.manager.loggerDict.items()
        if hasattr(found, "disabled")
    }
    try:
        logging.config.dictConfig({"version": 1})  # which disables what there is, and does not name it
        assert logger.disabled
        configure("entry_service:iris:1", logging.INFO, stream)
        logger.error("an error")
    finally:
        for name, disabled in before.items():
            logging.getLogger(name).disabled = disabled
    assert "an error" in stream.getvalue()
