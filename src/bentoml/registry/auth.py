"""Who we are to a registry: the credentials of Docker's configuration, and bearer tokens.

See the token authentication specification of the distribution project.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from ..exceptions import BentoMLException
from ..process import CommandFailed, run
from .documents import json_of
from .reference import DEFAULT_HOST
from .transport import Transport

__all__ = ["Challenge", "Credentials", "credentials_for", "fetch_token", "parse_challenge"]

_DEFAULT_KEY = (
    "https://index.docker.io/v1/"  # under which Docker keeps the credentials of its default registry
)
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_PARAMETER = re.compile(r'([a-zA-Z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_TOKEN = re.compile(r"[!-~]+\Z")
_TOKEN_USER = "<token>"
_HELPER_SECONDS = 60.0
_MAX_ANSWER = 1 << 20


class Credentials(NamedTuple):
    """A name and a secret; without a name the secret is a refresh token."""

    username: str
    secret: str

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, ...)"


class Challenge(NamedTuple):
    """What a 401 asks for: the scheme in lower case, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenge(header: str) -> Challenge:
    """Parse a `WWW-Authenticate` header."""
    scheme, _, rest = header.strip().partition(" ")
    found = {
        match[1].lower(): re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        for match in _PARAMETER.finditer(rest)
    }
    return Challenge(scheme.lower(), found)


def credentials_for(host: str, env: Mapping[str, str]) -> Credentials | None:
    """Return what Docker's configuration has for a registry: from its helper, or written in the file.

    Raises:
        BentoMLException: the configuration cannot be read, or its helper failed.
    """
    home = env.get("DOCKER_CONFIG") or (f"{env['HOME']}/.docker" if env.get("HOME") else None)
    if home is None:
        return None
    file = Path(home, "config.json")
    try:
        config = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise BentoMLException(f"cannot read the registry credentials in `{file}`: {e}") from e
    keys = [_DEFAULT_KEY, host] if host == DEFAULT_HOST else [host, f"https://{host}", f"http://{host}"]
    helpers, store = _mapping(config, "credHelpers"), _mapping(config, "auths")
    helper = next((helpers[key] for key in keys if key in helpers), None) or _text(config, "credsStore")
    if helper:
        return _from_helper(str(helper), keys[0], env)
    for key in keys:
        for variant in (key, f"{key}/", f"{key}/v1/", f"{key}/v2/"):
            if variant in store:
                return _from_file(store[variant], file)
    return None


def _mapping(config: object, key: str) -> Mapping[str, object]:
    value = config.get(key) if isinstance(config, dict) else None
    return value if isinstance(value, dict) else {}


def _text(config: object, key: str) -> str:
    value = config.get(key) if isinstance(config, dict) else None
    return value if isinstance(value, str) else ""


def _from_helper(helper: str, key: str, env: Mapping[str, str]) -> Credentials | None:
    if not _HELPER.match(helper):
        raise BentoMLException(f"`{helper}` in Docker's configuration is not the name of a credential helper")
    try:
        output = run(
            [f"docker-credential-{helper}", "get"], env=env, input=key.encode(), timeout=_HELPER_SECONDS
        )
        answer = json.loads(output)
        credentials = Credentials(str(answer["Username"]), str(answer["Secret"]))
    except CommandFailed as e:
        if "not found" in e.output and e.returncode != 127:  # the helper has none for this registry
            return None
        raise
    except (ValueError, KeyError, TypeError) as e:
        raise BentoMLException(f"`docker-credential-{helper}` gave no credentials that can be read") from e
    return Credentials("", credentials.secret) if credentials.username == _TOKEN_USER else credentials


def _from_file(entry: object, file: Path) -> Credentials | None:
    if token := _text(entry, "identitytoken"):
        return Credentials("", token)
    encoded = _text(entry, "auth")
    if not encoded:
        user, password = _text(entry, "username"), _text(entry, "password")
        return Credentials(user, password) if user else None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as e:
        raise BentoMLException(f"the registry credentials in `{file}` cannot be read; log in again") from e
    return Credentials(user, password.rstrip("\0"))


def fetch_token(
    transport: Transport,
    challenge: Challenge,
    registry_url: str,
    credentials: Credentials | None,
    scopes: Sequence[str] = (),
) -> str:
    """Return the bearer token that a challenge asks for; one for all ``scopes``, where some are given.

    Raises:
        BentoMLException: the token service is somewhere where credentials must not go, or refuses.
    """
    _check_realm(challenge.parameters.get("realm", ""), registry_url)
    method, url, headers, form = _token_request(challenge, credentials, scopes)
    body = (
        (lambda: [form]) if form else None
    )  # which is not sent on to where a redirect leads: it holds a secret
    with transport.send(method, url, headers, body) as answer:
        data = answer.read(_MAX_ANSWER)
    host = urlsplit(registry_url).netloc
    if answer.status != 200:
        raise BentoMLException(
            f"registry `{host}` gave no token (status {answer.status}); check the name, or `docker login {host}`"
        )
    try:
        fields = json_of(data)
        token = fields.get("token") or fields["access_token"] if isinstance(fields, dict) else None
    except (ValueError, KeyError):
        token = None
    if not (isinstance(token, str) and _TOKEN.match(token)):
        raise BentoMLException(f"the token service of registry `{host}` gave an answer that cannot be read")
    return token


def _token_request(
    challenge: Challenge, credentials: Credentials | None, scopes: Sequence[str]
) -> tuple[str, str, dict[str, str], bytes | None]:
    """Return method, address, headers and body of the request for a token."""
    realm, service = challenge.parameters["realm"], challenge.parameters.get("service")
    wanted = list(scopes) or [challenge.parameters[key] for key in ("scope",) if key in challenge.parameters]
    asked = [("service", service)] if service else []
    if credentials is not None and not credentials.username:
        form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", credentials.secret),
            ("client_id", "bentoml"),
        ]
        form += [*asked, *([("scope", " ".join(wanted))] if wanted else [])]
        data = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(data))}
        return "POST", realm, headers, data
    query = urlencode([*asked, *(("scope", scope) for scope in wanted)])
    headers = {} if credentials is None else {"Authorization": credentials.basic}
    return "GET", f"{realm}{'&' if urlsplit(realm).query else '?'}{query}", headers, None


def _check_realm(realm: str, registry_url: str) -> None:
    """Refuse a token service to which a registry must not send us: in the clear, unless it is the registry itself."""
    registry = urlsplit(registry_url)
    with suppress(ValueError):  # it is no address
        asked = urlsplit(realm)
        if asked.scheme == "https" or (asked.scheme, asked.netloc) == (registry.scheme, registry.netloc):
            return
    raise BentoMLException(
        f"registry `{registry.netloc}` sends to `{realm}` for a token, which is neither https nor the registry "
        "itself; no credentials go there"
    )
