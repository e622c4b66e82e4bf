"""Which exception each error answer becomes, and what it says."""

from __future__ import annotations

import pytest

from bentoml.client.failures import failure
from bentoml.exceptions import (
    BentoMLException,
    InvalidArgument,
    NotFound,
    ServiceUnavailable,
    UnprocessableEntity,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidArgument),
        (401, BentoMLException),
        (404, NotFound),
        (422, UnprocessableEntity),
        (429, BentoMLException),
        (500, BentoMLException),
        (503, ServiceUnavailable),
        (504, BentoMLException),
    ],
)
def test_the_status_chooses_the_class(status: int, kind: type[BentoMLException]) -> None:
    error = failure(status, b"why", "/x")
    assert type(error) is kind
    assert (error.error_code, error.message, str(error)) == (status, "why", "why")


@pytest.mark.parametrize(("status", "code"), [(520, 500), (499, 400), (299, 400)])
def test_a_status_that_no_standard_names(status: int, code: int) -> None:
    assert failure(status, b"why", "/x").error_code == code


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"Too many requests"}', "Too many requests"),
        (b'[{"error":"bad thing"}]', "bad thing"),
        (
            b'{"error":"2 validation error for Input","detail":[{"loc":["a",0],"msg":"not a number"},{"loc":[],"msg":"odd"}]}',
            "2 validation error for Input\n  a.0: not a number\n  odd",
        ),
        (b'{"error":"x","detail":"y"}', "x"),
        (b'{"message":"another server"}', '{"message":"another server"}'),
        (b"<h1>Bad gateway</h1>\n", "<h1>Bad gateway</h1>"),
        (b'{"error":{"code":1}}', '{"error":{"code":1}}'),
        (b"[]", "[]"),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"", "`/x` answered with status 500 and no message"),
    ],
)
def test_the_message_is_what_the_server_said(body: bytes, message: str) -> None:
    assert str(failure(500, body, "/x")) == message


def test_a_class_of_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BentoMLException, "error_mapping", dict(BentoMLException.error_mapping))

    class OutOfCredit(BentoMLException):
        error_code = 402  # type: ignore[assignment]  # as users write it

        def __init__(self, account: str, balance: int) -> None:
            super().__init__(f"{account}: {balance}")

    assert isinstance(error := failure(402, b"pay", "/x"), OutOfCredit)
    assert str(error) == "pay"


def test_a_message_that_is_nested_too_deep_is_given_as_it_is() -> None:
    body = b"[" * 100_000
    assert failure(500, body, "/x").message == body.decode()
