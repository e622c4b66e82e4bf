"""What a server runs where."""

from __future__ import annotations

from typing import Any

import pytest

from bentoml.exceptions import BentoMLConfigException
from bentoml.runtime.process.frames import Description
from bentoml.runtime.process.plan import Options, Plan, make_plan, restart_delay, table, url


def described(**values: Any) -> Description:
    defaults: dict[str, Any] = {
        "target": {},
        "service": "iris",
        "workers": 1,
        "host": "127.0.0.1",
        "port": 3000,
        "backlog": 2048,
        "timeout": 60.0,
    }
    return Description(**{**defaults, **values})


def plan_of(options: Options | None = None, **service: Any) -> Plan:
    return make_plan(options or Options(), described(**service), cpus=6)


@pytest.mark.parametrize(
    ("options", "service", "expected"),
    [
        pytest.param(Options(), {}, {"workers": 1, "host": "127.0.0.1", "port": 3000}, id="defaults"),
        pytest.param(Options(), {"workers": 3, "port": 4000}, {"workers": 3, "port": 4000}, id="configured"),
        pytest.param(Options(), {"workers": "cpu_count"}, {"workers": 6}, id="one for each processor"),
        pytest.param(Options(workers=2), {"workers": "cpu_count"}, {"workers": 2}, id="workers asked for"),
        pytest.param(Options(port=0), {"port": 4000}, {"port": 0}, id="port 0 is a wish too"),
        pytest.param(Options(host="0.0.0.0"), {"host": "::1"}, {"host": "0.0.0.0"}, id="host asked for"),
        pytest.param(Options(backlog=100), {"backlog": 200}, {"backlog": 100}, id="backlog asked for"),
        pytest.param(
            Options(), {"timeout": 7.2}, {"timeout_graceful_shutdown": 8}, id="as long as a request may take"
        ),
        pytest.param(
            Options(timeout_graceful_shutdown=0, timeout_keep_alive=0),
            {},
            {"timeout_graceful_shutdown": 0, "timeout_keep_alive": 0},
            id="zero seconds are a wish too",
        ),
        pytest.param(Options(), {}, {"timeout_keep_alive": 5, "ssl": {}}, id="other defaults"),
        pytest.param(Options(), {"workers": None}, {"workers": 1, "time_to_end": 70}, id="nothing said"),
        pytest.param(
            Options(),
            {"workers": None, "runs_program": True},
            {"workers": 3, "timeout_program": 30, "time_to_end": 100},
            id="a program",
        ),
        pytest.param(
            Options(timeout_graceful_shutdown=5),
            {"workers": 2, "runs_program": True},
            {"workers": 2, "timeout_program": 5, "time_to_end": 20},
            id="a program in a hurry",
        ),
    ],
)
def test_the_command_line_wins(options: Options, service: dict[str, Any], expected: dict[str, Any]) -> None:
    plan = plan_of(options, **service)
    assert {name: getattr(plan, name) for name in expected} == expected


@pytest.mark.parametrize(("cpus", "workers"), [(1, 1), (2, 1), (3, 1), (8, 4), (64, 16)])
def test_workers_before_a_program(cpus: int, workers: int) -> None:
    plan = make_plan(Options(), described(workers=None, runs_program=True), cpus=cpus)
    assert plan.workers == workers


def test_tls_from_both() -> None:
    configured = {"certfile": "a.pem", "keyfile": "a.key", "ciphers": None}
    plan = plan_of(Options(ssl={"certfile": "b.pem", "keyfile": None}), ssl=configured)
    assert plan.ssl["certfile"] == "b.pem" and plan.ssl["keyfile"] == "a.key"
    assert url(plan, 3000) == "https://127.0.0.1:3000"


def test_tls_without_a_certificate() -> None:
    with pytest.raises(BentoMLConfigException, match="--ssl-certfile"):
        plan_of(Options(ssl={"keyfile": "a.key"}))


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("localhost", "http://localhost:80"), ("::1", "http://[::1]:80")],
)
def test_url(host: str, expected: str) -> None:
    assert url(plan_of(host=host), 80) == expected


def test_table() -> None:
    plan = plan_of(Options(workers=2), dependencies=["preprocess"])
    assert table(plan, "http://127.0.0.1:3000", [11, 12]).splitlines() == [
        "SERVICE     WORKERS  ADDRESS                PROCESSES",
        "iris        2        http://127.0.0.1:3000  11 12",
        "preprocess           inside iris",
    ]


def test_restart_delay_doubles_up_to_half_a_minute() -> None:
    assert [restart_delay(n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 10_000)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
