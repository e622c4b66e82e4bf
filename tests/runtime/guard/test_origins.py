"""Which web pages may use a server that only this machine can reach."""

from __future__ import annotations

from typing import Any

import pytest

from bentoml.runtime.guard.origins import Origins
from bentoml.sdk.configuration.sections import Cors

HERE = "127.0.0.1:3000"
PROXIED = {"x-forwarded-for": "1.2.3.4"}


def allowed(method: str = "POST", kind: str = "http", cors: Cors | None = None, **headers: str) -> bool:
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    scope: dict[str, Any] = {"type": kind, "method": method}
    return Origins(3000, cors or Cors()).allow(scope, sent)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": HERE},
        {"host": "localhost:3000", "origin": "http://localhost:3000"},
        {"host": "[::1]:3000", "origin": "http://[::1]:3000"},
        {"host": HERE, "origin": "http://localhost:5173"},
        {"host": "app.localhost:3000", "origin": "http://app.localhost:3000"},
        {"host": "api.example.com", "origin": "https://api.example.com"},
        {"host": "api.example.com:8443", "origin": "https://api.example.com:8443"},
        {"host": HERE, "origin": "https://api.example.com", **PROXIED},
        {"host": "example.com"},
        {"host": "a:b:c"},
        {"host": "localhost.:3000", "origin": "http://localhost.:3000"},
        {"host": "0.0.0.0:3000", "origin": "http://0.0.0.0:3000"},
        {"host": "10.0.0.5:3000"},
        {"host": "[::ffff:127.0.0.1]:3000", "origin": "http://[::ffff:127.0.0.1]:3000"},
        {"host": "[fd00::5]:3000"},
    ],
)
def test_who_may(headers: dict[str, Any]) -> None:
    assert allowed(**headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": HERE, "origin": "http://evil.example"},
        {"host": HERE, "origin": "http://127.0.0.1.evil.example:3000"},
        {"host": HERE, "origin": "http://localhost.evil.example"},
        {"host": HERE, "origin": "null"},
        {"host": HERE, "origin": "http://evil.example@"},
        {"host": "evil.example:3000", "origin": "http://evil.example:3000"},
        {"host": "evil.example:3000", "origin": "http://evil.example:3000", **PROXIED},
        {"host": "evil.example:3000"},
        {"origin": "http://evil.example"},
        {"host": HERE, "origin": "http://["},
        {"host": HERE, "origin": "http://[" + "a" * 1000},
        {"host": HERE, "origin": "http://10.0.0.5:3000"},
        {"host": "0.0.0.0:3000", "origin": "http://evil.example"},
        {"host": "10.0.0.5.evil.example:3000"},
        {"host": "evil.example.:3000"},
        {"host": "127.0.0.1@evil.example:3000"},
    ],
)
def test_who_may_not(headers: dict[str, Any]) -> None:
    assert not allowed(**headers)


@pytest.mark.parametrize("port", [80, 443])
@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("evil.example", False),
        ("localhost", True),
        ("127.0.0.1", True),
        ("evil.example:3000", True),
        ("", True),
    ],
)
def test_a_port_that_goes_without_saying(port: int, host: str, may: bool) -> None:
    """A browser that is led here by a name of the page's own says no port where it is the usual one."""
    assert Origins(port, Cors()).allow({"type": "http", "method": "POST"}, {b"host": host.encode()}) is may


def test_it_remembers_only_so_many_hosts() -> None:
    origins = Origins(3000, Cors())

    for i in range(1000):
        assert origins.takes(b"%d.example" % i) and not origins.takes(b"%d.example:3000" % i)

    cache = origins.takes
    assert cache.cache_info().currsize <= 128  # type: ignore[attr-defined]  # what `lru_cache` adds


def test_a_page_may_look_but_not_talk() -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        assert allowed(method, host=HERE, origin="http://evil.example")
        assert not allowed(method, host="evil.example:3000")
    assert not allowed("GET", "websocket", host=HERE, origin="http://evil.example")


@pytest.mark.parametrize(
    ("cors", "expected"),
    [
        (Cors(True, ("http://good.example",)), True),
        (Cors(True, ("*",)), True),
        (Cors(True, access_control_allow_origin_regex=r"http://\w+\.example"), True),
        (Cors(True, access_control_allow_origin_regex=r"http://good"), False),
        (Cors(True, ("http://other.example",)), False),
        (Cors(False, ("http://good.example",)), False),
    ],
)
def test_origins_that_the_settings_allow(cors: Cors, expected: bool) -> None:
    assert allowed(cors=cors, host=HERE, origin="http://good.example") is expected
