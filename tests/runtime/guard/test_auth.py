"""Who may call: keys, tokens, what is open to anybody, and what goes wrong at the start."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.runtime.served import Served, served

import bentoml
from bentoml.exceptions import BentoMLConfigException
from bentoml.runtime.guard.auth import AuthError, make_verify
from bentoml.sdk.configuration.sections import Auth

SECRET = "a secret of more than 32 characters, for HS256"
KEYS = {"KEYS": "first-key\nsecond-key"}


def pair(key: Any) -> tuple[str, str]:
    """Return a private and a public key, as PEM."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


PRIVATE, PUBLIC = pair(rsa.generate_private_key(65537, 2048))
EC_PRIVATE, EC_PUBLIC = pair(ec.generate_private_key(ec.SECP256R1()))


def token(key: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode({"exp": time.time() + 60, **claims}, key, algorithm)


def guarded(**auth: Any) -> Any:
    async def hello(request: Request) -> Response:
        return PlainTextResponse("mounted")

    cors = {"enabled": True, "access_control_allow_origins": "http://a", "access_control_allow_methods": "*"}

    @bentoml.service(auth=auth, http={"cors": cors})
    class Guarded:
        @bentoml.api
        def who(self, ctx: bentoml.Context) -> str:
            return str(dict(ctx.request.state.auth).get("sub"))

        @bentoml.task
        def job(self) -> int:
            return 1

    service: Any = Guarded
    service.mount_asgi_app(Starlette(routes=[Route("/hello", hello)]), path="/mounted")
    return service


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served(guarded(type="api_key", env="KEYS"), env=KEYS) as running:
        yield running


CLOSED = [
    ("POST", "/who"), ("GET", "/who"), ("POST", "/job"), ("POST", "/job/submit"), ("GET", "/job/status"), ("PUT", "/job/cancel"),
    ("GET", "/mounted/hello"), ("GET", "/docs.json"), ("GET", "/schema.json"), ("GET", "/metrics"), ("GET", "/nothing"),
    ("POST", "/"), ("GET", "/who/"), ("POST", "/livez"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_everything_asks_for_a_key(app: Served, method: str, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic Zmlyc3Qta2V5"}):
        reply = app.ask(path, method=method, headers=headers)
        assert (reply.status, reply.json()) == (401, {"error": "Authorization error"})
        assert reply.headers["www-authenticate"].startswith("Bearer")
        assert "x-bentoml-request-id" in reply.headers
    assert app.ask(path, method=method, headers={"authorization": "Bearer second-key"}).status != 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_probes_are_open(app: Served, path: str) -> None:
    assert app.ask(path, method="GET", headers={}).status == 200


def test_keys(app: Served) -> None:
    for key in ("first-key", "second-key"):
        assert app.ask("/who", headers={"authorization": f"bearer {key}"}).body == b"None"
    for key in ("first-ke", "first-key2", "first-key,second-key", "", "first-key second-key"):
        assert app.ask("/who", headers={"authorization": f"Bearer {key}"}).status == 401


def test_a_preflight_needs_no_key_and_what_is_refused_may_be_read(app: Served) -> None:
    asked = {"origin": "http://a", "access-control-request-method": "POST"}
    assert app.ask("/who", method="OPTIONS", headers=asked).status == 200
    reply = app.ask("/who", headers={"origin": "http://a"})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (401, "http://a")


def test_what_is_refused_is_counted(app: Served) -> None:
    app.ask("/who", headers={})
    text = app.ask("/metrics", method="GET", headers={"authorization": "Bearer first-key"}).body.decode()
    assert 'endpoint="/who",http_response_code="401"' in text


def test_a_websocket_needs_a_key(app: Served) -> None:
    sent: list[Any] = []

    async def main(extensions: dict[str, Any]) -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/mounted/x", "headers": [], "extensions": extensions}
        await app.app({**scope, "client": None, "scheme": "ws"}, None, send)

    app.run(main({}))
    assert sent.pop()["type"] == "websocket.close"
    app.run(main({"websocket.http.response": {}}))
    assert sent[0]["status"] == 401


def test_a_key_in_a_header_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("one\ntwo\n")
    with served(guarded(type="api_key", file=str(file), header="X-API-Key")) as app:
        assert app.ask("/who", headers={"x-api-key": "two"}).status == 200
        for headers in (
            {},
            {"x-api-key": "three"},
            {"authorization": "Bearer one"},
            {"x-api-key": "Bearer one"},
        ):
            reply = app.ask("/who", headers=headers)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, 'ApiKey header="x-api-key"')


def test_tokens() -> None:
    auth = {"type": "jwt", "algorithms": ["HS256"], "env": "SECRET", "audience": "me", "issuer": "them"}
    good: dict[str, Any] = {"aud": "me", "iss": "them", "sub": "somebody"}
    with served(guarded(**auth), env={"SECRET": SECRET}) as app:

        def ask(text: str) -> tuple[int, bytes]:
            reply = app.ask("/who", headers={"authorization": f"Bearer {text}"})
            return reply.status, reply.body

        assert ask(token(**good)) == (200, b"somebody")
        bad = [
            token(**{**good, "aud": "you"}),
            token(**{**good, "iss": "you"}),
            token(**{**good, "exp": time.time() - 1}),
            token(key=SECRET[::-1], **good),
            token(algorithm="HS512", key=SECRET * 2, **good),
            jwt.encode(good, SECRET, "HS256"),
            jwt.encode({**good, "exp": time.time() + 60}, "", "none"),
            "no.token.atall",
        ]
        assert [ask(text)[0] for text in bad] == [401] * len(bad)


@pytest.mark.parametrize(
    ("algorithm", "private", "public"), [("RS256", PRIVATE, PUBLIC), ("ES256", EC_PRIVATE, EC_PUBLIC)]
)
def test_tokens_of_a_public_key(algorithm: str, private: str, public: str) -> None:
    verify = make_verify(Auth(type="jwt", env="KEY", algorithms=(algorithm,)), {"KEY": public})
    assert verify(token(private, algorithm, sub="x").encode()) is not None
    forged = token(SECRET, "HS256")
    assert verify(forged.encode()) is None


@pytest.mark.parametrize(
    ("auth", "env", "message"),
    [
        (Auth(type="api_key", env="KEYS"), {}, "`KEYS`.*not set or empty"),
        (Auth(type="api_key", env="KEYS"), {"KEYS": " \n"}, "`KEYS`.*not set or empty"),
        (Auth(type="api_key", env="KEYS"), {"KEYS": ",,"}, "no key"),
        (Auth(type="api_key", file="/no/such/file"), {}, "/no/such/file.*cannot be read"),
        (Auth(type="jwt", env="K", algorithms=("RS256",)), {"K": PRIVATE}, "private key"),
        (Auth(type="jwt", env="K", algorithms=("RS256",)), {"K": "no key"}, "no key for `RS256`"),
        (Auth(type="jwt", env="K", algorithms=("ES256",)), {"K": PUBLIC}, "no key for `ES256`"),
        (Auth(type="jwt", env="K", algorithms=("HS256",)), {"K": PUBLIC}, "no key for `HS256`"),
    ],
)
def test_keys_that_cannot_be_used(auth: Auth, env: dict[str, str], message: str) -> None:
    with pytest.raises(AuthError, match=message) as caught:
        make_verify(auth, env)
    assert "no key\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ({"type": "key", "env": "A"}, "`api_key` or `jwt`"),
        ({"env": "A"}, "`auth.type` is needed"),
        ({"type": "api_key"}, "either `env`"),
        ({"type": "api_key", "env": "A", "file": "b"}, "either `env`"),
        ({"type": "api_key", "keys": ["a"]}, "`auth.keys` is not known"),
        ({"type": "api_key", "env": "A", "header": "x y"}, "name of a header"),
        ({"type": "jwt", "env": "A"}, "`auth.algorithms` is needed"),
        ({"type": "jwt", "env": "A", "algorithms": ["none"]}, "`none` is not accepted"),
        ({"type": "jwt", "env": "A", "algorithms": ["HS256", "RS256"]}, "one kind"),
    ],
)
def test_settings_that_are_wrong(auth: dict[str, Any], message: str) -> None:
    with pytest.raises(BentoMLConfigException, match=message):
        guarded(**auth)


def test_without_its_keys_a_service_does_not_start() -> None:
    with pytest.raises(AuthError, match="KEYS"), served(guarded(type="api_key", env="KEYS")):
        raise AssertionError("it must not start")
