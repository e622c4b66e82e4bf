"""Credentials come from Docker's configuration, and go nowhere they should not."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path

import pytest
from tests.registry.fake_registry import FakeRegistry, running

from bentoml.exceptions import BentoMLException
from bentoml.process import CommandFailed
from bentoml.registry.auth import Challenge, Credentials, credentials_for, fetch_token, parse_challenge
from bentoml.registry.transport import Transport

ME = Credentials("me", "s3:cret")
ENCODED = base64.b64encode(b"me:s3:cret").decode()


def config(folder: Path, **content: object) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(content))
    return {"DOCKER_CONFIG": str(folder)}


def helper(folder: Path, script: str) -> dict[str, str]:
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("host", "key", "entry", "expected"),
    [
        ("reg.example", "reg.example", {"auth": ENCODED}, ME),
        ("reg.example", "https://reg.example/v2/", {"auth": ENCODED}, ME),
        ("reg.example", "reg.example", {"username": "me", "password": "s3:cret"}, ME),
        ("reg.example", "reg.example", {"identitytoken": "refresh"}, Credentials("", "refresh")),
        ("reg.example", "reg.example", {}, None),
        ("reg.example:5000", "reg.example", {"auth": ENCODED}, None),
        ("docker.io", "https://index.docker.io/v1/", {"auth": ENCODED}, ME),
    ],
    ids=["host", "url", "fields", "refresh-token", "empty", "other-port", "default"],
)
def test_auths(
    tmp_path: Path, host: str, key: str, entry: dict[str, str], expected: Credentials | None
) -> None:
    assert credentials_for(host, config(tmp_path, auths={key: entry})) == expected


def test_no_configuration_is_no_credentials(tmp_path: Path) -> None:
    assert credentials_for("reg.example", {}) is None
    assert credentials_for("reg.example", {"HOME": str(tmp_path)}) is None


def test_home_is_where_docker_has_it(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    config(tmp_path / ".docker", auths={"reg.example": {"auth": ENCODED}})
    assert credentials_for("reg.example", {"HOME": str(tmp_path)}) == ME


def test_helpers_are_asked(tmp_path: Path) -> None:
    path = helper(tmp_path, 'read host; echo "{\\"Username\\": \\"me\\", \\"Secret\\": \\"$host\\"}"')
    env = config(tmp_path, credHelpers={"reg.example": "test"}) | path
    assert credentials_for("reg.example", env) == Credentials("me", "reg.example")
    assert credentials_for("other.example", env) is None
    env = config(tmp_path, credsStore="test") | path
    assert credentials_for("other.example", env) == Credentials("me", "other.example")


def test_a_helper_may_give_a_refresh_token_or_nothing(tmp_path: Path) -> None:
    env = config(tmp_path, credsStore="test")
    token = helper(tmp_path, 'echo \'{"Username": "<token>", "Secret": "refresh"}\'')
    assert credentials_for("reg.example", env | token) == Credentials("", "refresh")
    nothing = helper(tmp_path, "echo credentials not found in native keychain; exit 1")
    assert credentials_for("reg.example", env | nothing) is None


@pytest.mark.parametrize(
    ("script", "error"),
    [("exit 3", CommandFailed), ("echo what", BentoMLException), ("echo '{}'", BentoMLException)],
)
def test_a_broken_helper_is_an_error(tmp_path: Path, script: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="docker-credential-test"):
        credentials_for("reg.example", config(tmp_path, credsStore="test") | helper(tmp_path, script))


@pytest.mark.parametrize("name", ["../evil", "a b", "-x"])
def test_a_helper_is_a_name_and_not_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(BentoMLException, match="not the name of a credential helper"):
        credentials_for("reg.example", config(tmp_path, credsStore=name))


@pytest.mark.parametrize(
    "content", ["{", '{"auths": {"reg.example": {"auth": "%%%"}}}'], ids=["json", "base64"]
)
def test_a_damaged_configuration_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(BentoMLException, match=r"config\.json"):
        credentials_for("reg.example", {"DOCKER_CONFIG": str(tmp_path)})


def test_secrets_are_not_shown() -> None:
    assert "s3" not in repr(ME)


def test_challenges_are_parsed() -> None:
    header = 'Bearer realm="https://auth.example/t?a=b",service=reg,scope="repository:a:pull,push",error="x \\"y\\""'
    assert parse_challenge(header) == Challenge(
        "bearer",
        {
            "realm": "https://auth.example/t?a=b",
            "service": "reg",
            "scope": "repository:a:pull,push",
            "error": 'x "y"',
        },
    )
    assert parse_challenge("") == Challenge("", {})


@pytest.mark.parametrize(
    ("realm", "registry"),
    [
        ("http://elsewhere.example/token", "https://reg.example"),
        ("http://reg.example/token", "https://reg.example"),
        ("http://127.0.0.1:1/token", "http://127.0.0.1:2"),
        ("file:///etc/passwd", "https://reg.example"),
        ("", "https://reg.example"),
        ("http://[::1/token", "http://[::1]"),
    ],
)
def test_credentials_go_to_no_surprising_place(realm: str, registry: str) -> None:
    with pytest.raises(BentoMLException, match="no credentials go there"):
        fetch_token(Transport(), Challenge("bearer", {"realm": realm}), registry, ME)


@pytest.mark.parametrize("status", [302, 307, 308])
@pytest.mark.parametrize(
    "credentials", [ME, Credentials("", "s3:refresh")], ids=["password", "refresh token"]
)
def test_credentials_do_not_follow_a_token_service_elsewhere(credentials: Credentials, status: int) -> None:
    with (
        running(FakeRegistry()) as registry,
        running(FakeRegistry()) as elsewhere,
        closing(Transport()) as transport,
    ):
        registry.token_at, registry.token_status = elsewhere.host, status
        url = f"http://{registry.host}"
        try:
            fetch_token(transport, Challenge("bearer", {"realm": f"{url}/token"}), url, credentials)
        except BentoMLException as e:
            assert f"status {status}" in str(e)
        assert "s3" not in str(elsewhere.seen) and ENCODED not in str(elsewhere.seen)
        assert "s3" in str(registry.seen) or ENCODED in str(registry.seen)


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"[]", b"null", b'{"token": null}', b'{"token": 1}', b'{"token": "a\\nX-Evil: 1"}', b'{"token": "\\ud800"}',
        b'{"token": "\\u2028"}', b"[" * 100_000,
    ],
    ids=["empty", "list", "null", "no token", "number", "header", "half", "separator", "deep"],
)  # fmt: skip
def test_what_is_no_token_is_refused(answer: bytes) -> None:
    with running(FakeRegistry(token_answer=answer)) as registry, closing(Transport()) as transport:
        url = f"http://{registry.host}"
        with pytest.raises(BentoMLException, match="cannot be read"):
            fetch_token(transport, Challenge("bearer", {"realm": f"{url}/token"}), url, None)
