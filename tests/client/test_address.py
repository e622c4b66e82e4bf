"""Where a server is, from the ways in which people write it."""

from __future__ import annotations

import pytest

from bentoml.client.address import Address
from bentoml.exceptions import InvalidArgument


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("http://localhost:3000", "http://localhost:3000/x", "http://localhost:3000"),
        ("https://example.org/", "https://example.org/x", "https://example.org"),
        ("https://example.org/iris/", "https://example.org/iris/x", "https://example.org/iris"),
        ("https://:3000", "http://localhost:3000/x", "http://localhost:3000"),
        ("http://:3000", "http://localhost:3000/x", "http://localhost:3000"),
        (":3000", "http://localhost:3000/x", "http://localhost:3000"),
        ("localhost:3000", "http://localhost:3000/x", "http://localhost:3000"),
        ("tcp://127.0.0.1:3000", "http://127.0.0.1:3000/x", "http://127.0.0.1:3000"),
        ("http://[::1]:3000", "http://[::1]:3000/x", "http://[::1]:3000"),
        ("http://user:secret@host:1", "http://user:secret@host:1/x", "http://host:1"),
        ("file:///run/bento.sock", "http://localhost/x", "file:///run/bento.sock"),
        (" http://localhost:3000\n", "http://localhost:3000/x", "http://localhost:3000"),
    ],
)
def test_addresses(text: str, url: str, shown: str) -> None:
    address = Address.parse(text)
    assert address.url("/x") == url
    assert str(address) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "ftp://host",
        "file://",
        "http://host:port",
        "http://host:99999",
        "http://host/?a=b",
        "http://host/#a",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not the address of a server"):
        Address.parse(text)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="`3000` is not the address of a server"):
        Address.parse(3000)  # type: ignore[arg-type]  # that is the mistake


def test_a_prefix_is_added_once() -> None:
    address = Address.parse("http://host/team")
    assert address.url("/summarize") == "http://host/team/summarize"
    assert address.url("/team/summarize") == "http://host/team/summarize"
    assert address.url("/teams") == "http://host/team/teams"


def test_a_socket_has_its_path() -> None:
    assert Address.parse("unix:///run/bento.sock").socket == "/run/bento.sock"
