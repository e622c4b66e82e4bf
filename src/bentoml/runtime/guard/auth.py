"""Who may call: API keys and JSON web tokens, checked in front of everything but the probes."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from ...exceptions import BentoMLConfigException, MissingDependencyException
from ...sdk.configuration.sections import Auth
from ..call import Call, Receive, Scope, Send, Server
from ..errors import HIDDEN, error_body
from ..web.site import Site
from .limited import refuse

__all__ = ["AuthError", "Claims", "Guard", "Verify", "make_verify"]

logger = logging.getLogger(__name__)

Claims = Mapping[str, Any]
# Return what a credential says of its holder, or None where it is not valid.
Verify = Callable[[bytes], Claims | None]

_BEARER = re.compile(rb"bearer +([^\s]+) *\Z", re.IGNORECASE)  # RFC 6750, 2.1


class AuthError(BentoMLConfigException):
    """The keys, or what tokens are verified with, are missing or cannot be used."""


@dataclass(frozen=True)
class Guard:
    """Let an application answer those who show a valid credential; ``is_open`` says what anybody may see.

    A person who opens the page of ``site`` gets it with the refusal: it asks for a token, and says nothing of the service.

    What a token says of its holder is in the request's ``state.auth``.
    """

    app: ASGIApp
    verify: Verify
    header: str
    is_open: Callable[[Scope], bool]
    server: Server
    site: Site | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] not in ("http", "websocket") or self.is_open(scope):
            return await self.app(scope, receive, send)
        credential = self._credential(scope)
        claims = None if credential is None else self.verify(credential)
        if claims is None:
            return await self._refuse(scope, send, self._challenge(credential))
        scope["state"] = {**scope.get("state", {}), "auth": claims}
        await self.app(scope, receive, send)

    async def _refuse(self, scope: Scope, send: Send, challenge: bytes) -> None:
        headers = [(b"www-authenticate", challenge), self.server.header, *Call(scope, self.server).ids()]
        if self.site is not None and self.site.asks_who(scope):
            await self.site.send_index(scope, send, 401, *headers)
        else:
            await refuse(scope, send, 401, error_body(HIDDEN), *headers)

    def _credential(self, scope: Scope) -> bytes | None:
        name = self.header.encode("latin-1")
        given = [value for key, value in scope["headers"] if key == name]
        if len(given) != 1:
            return None
        if self.header != "authorization":
            return given[0].strip() or None
        bearer = _BEARER.match(given[0])
        return bearer[1] if bearer else None

    def _challenge(self, credential: bytes | None) -> bytes:
        if self.header != "authorization":
            return b'ApiKey header="%b"' % self.header.encode("latin-1")
        return b"Bearer" if credential is None else b'Bearer error="invalid_token"'


def make_verify(auth: Auth, env: Mapping[str, str]) -> Verify:
    """Return the check of a service's callers.

    Raises:
        AuthError: the variable or file that the settings name is not there, is empty, or holds no usable key.
        MissingDependencyException: tokens need PyJWT.
    """
    where, secret = _secret(auth, env)
    return _tokens(auth, where, secret) if auth.type == "jwt" else _keys(where, secret)


def _secret(auth: Auth, env: Mapping[str, str]) -> tuple[str, str]:
    if auth.env is not None:
        where, secret = f"the environment variable `{auth.env}`", env.get(auth.env, "")
    else:
        where = f"the file `{auth.file}`"
        try:
            secret = Path(auth.file or "").expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise AuthError(f"`auth` needs {where}, which cannot be read: {e}") from e
    if not secret.strip():
        raise AuthError(
            f"`auth` needs a key in {where}, which is not set or empty; set it before the service starts"
        )
    return where, secret.strip()


def _keys(where: str, secret: str) -> Verify:
    """Compare digests, all of them, so that the time says nothing about a key, nor which one came near."""
    keys = [line for line in re.split(r"[\s,]+", secret) if line]
    if not keys:
        raise AuthError(f"`auth` finds no key in {where}")
    digests = [sha256(key.encode()).digest() for key in keys]

    def verify(credential: bytes) -> Claims | None:
        digest = sha256(credential).digest()
        matches = [hmac.compare_digest(digest, known) for known in digests]
        return {} if any(matches) else None

    return verify


def _tokens(auth: Auth, where: str, secret: str) -> Verify:
    try:
        import jwt
    except ImportError as e:
        raise MissingDependencyException(
            "`auth` of type `jwt` needs PyJWT; `pip install 'bentoml[auth]'` brings it"
        ) from e
    if "PRIVATE KEY" in secret:
        raise AuthError(f"{where} holds a private key; a server verifies tokens with the public one")
    try:
        for algorithm in auth.algorithms:
            jwt.get_algorithm_by_name(algorithm).prepare_key(secret)
    except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError) as e:
        raise AuthError(f"{where} holds no key for `{algorithm}`: {e}") from e

    def verify(credential: bytes) -> Claims | None:
        try:
            claims: Claims = jwt.decode(
                credential,
                secret,
                algorithms=list(auth.algorithms),  # never what the token says of itself
                audience=auth.audience,
                issuer=auth.issuer,
                leeway=auth.leeway,
                options={"require": ["exp"]},
            )
        except jwt.PyJWTError as e:
            logger.info("a token is refused: %s", e)
            return None
        return claims

    return verify
