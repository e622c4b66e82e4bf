from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.contents.files import SourceFile
from bentoml.builder.contents.suspects import secrets_among


@pytest.mark.parametrize(
    ("path", "is_suspect"),
    [
        (".env", True), ("deploy/.env.production", True), (".env.example", False), ("prod.env", True),
        ("key.pem", True), ("certs/Server.KEY", True), ("id_rsa", True), ("id_rsa.pub", False), (".netrc", True),
        ("home/.aws/credentials", True), (".ssh/config", True), ("service-account-prod.json", True),
        ("service.py", False), ("environment.py", False), ("keys.py", False), ("data/monkey.png", False),
    ],
)  # fmt: skip
def test_by_name(path: str, is_suspect: bool) -> None:
    assert secrets_among([SourceFile(path, Path("/nowhere"))]) == ([path] if is_suspect else [])


def test_a_certificate_is_no_secret_but_with_its_key(tmp_path: Path) -> None:
    public, private = tmp_path / "ca.pem", tmp_path / "both.pem"
    public.write_text("-----BEGIN CERTIFICATE-----\n")
    private.write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")
    files = [SourceFile(path.name, path) for path in (private, public)]
    assert secrets_among(files) == ["both.pem"]
