"""What this machine hands over to steps."""

from __future__ import annotations

from pathlib import Path

from bentoml.builder.steps.host import handed_over


def test_proxies_in_either_case(tmp_path: Path) -> None:
    env = {"HTTP_PROXY": "http://p:1", "no_proxy": "localhost", "https_proxy": "", "SECRET": "x"}
    handed = handed_over(env, bundles=())
    assert handed.env["HTTP_PROXY"] == "http://p:1"
    assert handed.env["no_proxy"] == "localhost"
    assert not {"https_proxy", "SECRET", "SSL_CERT_FILE"} & handed.env.keys()
    assert handed.files == ()


def test_the_bundle_that_is_named_goes_before_the_machines(tmp_path: Path) -> None:
    own, named = tmp_path / "own", tmp_path / "named"
    own.write_bytes(b"own")
    named.write_bytes(b"named")
    ca = next(entry for entry in handed_over({"SSL_CERT_FILE": str(named)}, bundles=(own,)).files)
    assert (ca.path, ca.source) == ("run/bentoml/ca.crt", b"named")
    handed = handed_over({"SSL_CERT_FILE": str(tmp_path / "missing")}, bundles=(own,))
    assert handed.files[0].source == b"own"
    assert handed.env["PIP_CERT"] == handed.env["GIT_SSL_CAINFO"] == "/run/bentoml/ca.crt"
    assert handed.env["APT_CONFIG"] == "/run/bentoml/apt.conf"
