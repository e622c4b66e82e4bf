"""HTTPS with real certificates, also of the client's, and what is said of files that cannot be used."""

from __future__ import annotations

import datetime
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.runtime.running import running
from tests.support import Project

pytestmark = pytest.mark.slow

SERVICE = """
    import bentoml

    @bentoml.service(ssl={ssl})
    class Secure:
        @bentoml.api
        def url(self, ctx: bentoml.Context) -> str:
            return str(ctx.request.url)
"""


class Signed(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def signed(name: str, by: Signed | None = None) -> Signed:
    """Make a certificate for this machine, or one that signs others."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return Signed(builder.sign(by.key if by else key, hashes.SHA256()), key)


def write(folder: Path, name: str, made: Signed, password: str | None = None) -> tuple[str, str]:
    """Write certificate and key as PEM; return where."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
    how = (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )
    key.write_bytes(
        made.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    )
    return str(certificate), str(key)


@pytest.fixture
def authority(project: Project) -> Signed:
    made = signed("the authority")
    write(project.folder, "ca", made)
    return made


def ask(url: str, context: ssl.SSLContext) -> str:
    with urllib.request.urlopen(url + "/url", data=b"{}", context=context, timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def serve(project: Project, **settings: object) -> list[str]:
    service = SERVICE.replace("{ssl}", repr({"enabled": True, **settings}))
    project.write(service_py=service)
    return [sys.executable, "-m", "bentoml", "serve", "service:Secure", "--port", "0"]


def test_https_with_a_key_that_has_a_password(project: Project, authority: Signed) -> None:
    certificate, key = write(project.folder, "server", signed("localhost", authority), "a password")
    command = serve(project, certfile=certificate, keyfile=key, keyfile_password="a password")
    trusting = ssl.create_default_context(cafile=str(project.folder / "ca.crt"))
    with running(command, cwd=project.folder, env=project.env) as server:
        url = server.url().replace("127.0.0.1", "localhost")
        assert url.startswith("https://")
        assert ask(url, trusting) == f"{url}/url"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(url, ssl.create_default_context())
        with pytest.raises(OSError, match=r".*"):  # whatever a connection without TLS ends with
            ask(url.replace("https", "http"), trusting)


def test_clients_with_certificates(project: Project, authority: Signed) -> None:
    certificate, key = write(project.folder, "server", signed("localhost", authority))
    mine = write(project.folder, "client", signed("a client", authority))
    others = write(project.folder, "other", signed("a stranger"))
    command = serve(
        project, certfile=certificate, keyfile=key, ca_certs=str(project.folder / "ca.crt"), cert_reqs=2
    )
    with running(command, cwd=project.folder, env=project.env) as server:
        url = server.url().replace("127.0.0.1", "localhost")
        for files, is_welcome in ((mine, True), (others, False), (None, False)):
            context = ssl.create_default_context(cafile=str(project.folder / "ca.crt"))
            if files is not None:
                context.load_cert_chain(*files)
            if is_welcome:
                assert ask(url, context) == f"{url}/url"
            else:
                with pytest.raises(OSError, match=r"(?i)ssl|reset|closed|alert"):
                    ask(url, context)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"certfile": "no.crt", "keyfile": "no.key"}, "no.crt"),
        ({"certfile": "server.crt", "keyfile": "ca.key"}, "ca.key"),
        ({"certfile": "service.py", "keyfile": "server.key"}, "service.py"),
        ({"certfile": "server.crt", "keyfile": "locked.key", "keyfile_password": "wrong"}, "locked.key"),
        ({"certfile": "server.crt", "keyfile": "server.key", "ca_certs": "no-ca.crt", "cert_reqs": 2}, "no-ca.crt"),
        ({"certfile": "server.crt", "keyfile": "server.key", "ciphers": "nonsense"}, "nonsense"),
        ({}, "certfile"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(
    project: Project, authority: Signed, settings: dict[str, object], said: str
) -> None:
    write(project.folder, "server", signed("localhost", authority))
    write(project.folder, "locked", signed("localhost", authority), "a password")
    serve(project, **settings)
    done = project.bentoml("serve", "service:Secure", "--port", "0")
    text = done.stdout + done.stderr
    assert done.returncode in (1, 3), text
    assert said in text
    assert "Traceback" not in text or not settings  # which the line of the decorator is shown for
    assert "wrong" not in text  # the password


def test_a_client_that_does_not_say_that_it_closes_holds_up_no_end(
    project: Project, authority: Signed
) -> None:
    certificate, key = write(project.folder, "server", signed("localhost", authority))
    context = ssl.create_default_context(cafile=str(project.folder / "ca.crt"))
    command = serve(project, certfile=certificate, keyfile=key)
    with running(command, cwd=project.folder, env=project.env) as server:
        port = urlsplit(server.url()).port
        with socket.create_connection(("localhost", port)) as bare:
            client = context.wrap_socket(bare, server_hostname="localhost")
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < 30
            client.close()
