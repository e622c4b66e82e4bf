"""Which web pages may use a server that only this machine can reach: a browser on it opens pages from anywhere."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import urlsplit

from starlette.types import Scope

from ...sdk.configuration.sections import Cors

__all__ = ["Origins"]

_SAFE = ("GET", "HEAD", "OPTIONS")
_DEFAULT_PORTS = (80, 443)  # which a browser leaves out of `Host`
# A page cannot send these to another origin without asking first, so that they come from a proxy that was put in front.
_PROXIED = (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"forwarded", b"via", b"x-real-ip")
_HOSTS = 128  # that are remembered: clients send the same ones again and again


@dataclass(frozen=True)
class Origins:
    """Tell requests that a foreign page makes from all others; for a server that listens on a loopback address.

    A page may send a POST to any address, though it cannot read the answer; and a name of its own may lead here
    (DNS rebinding), which makes this server its own origin. Programs send no ``Origin`` and are never refused for it.
    """

    port: int
    cors: Cors

    @cached_property
    def takes(self) -> Callable[[bytes], bool]:
        """Say whether a ``Host`` header may lead here; without an ``Origin`` beside it that is all there is to ask."""
        return lru_cache(maxsize=_HOSTS)(self._takes)

    def allow(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether a request may be answered."""
        host = headers.get(b"host", b"")
        if not self.takes(host):
            return False
        origin = headers.get(b"origin")
        if origin is None or (scope["type"] == "http" and scope["method"] in _SAFE):
            return True
        return self._allows_origin(origin.decode("latin-1"), host.decode("latin-1").lower(), headers)

    def _takes(self, host: bytes) -> bool:
        """Refuse a name that leads here: a proxy in front of this server has an address of its own.

        An IP address leads nowhere else, whoever owns it, so that no page can have come from there before.
        """
        name, port = _split(host.decode("latin-1").lower())
        is_ours = port == self.port or (port is None and bool(name) and self.port in _DEFAULT_PORTS)
        return not is_ours or _is_here(name) or _is_address(name)

    def _allows_origin(self, origin: str, host: str, headers: Mapping[bytes, bytes]) -> bool:
        if self._is_listed(origin):
            return True
        try:
            netloc = urlsplit(origin).netloc.lower()
        except ValueError:  # no address
            return False
        if _is_here(_split(netloc)[0]):
            return True
        proxied = any(name in headers for name in _PROXIED)
        return bool(netloc) and (proxied or netloc == host)

    def _is_listed(self, origin: str) -> bool:
        cors = self.cors
        if not cors.enabled:
            return False
        listed = cors.access_control_allow_origins or ()
        pattern = cors.access_control_allow_origin_regex
        return "*" in listed or origin in listed or bool(pattern and re.fullmatch(pattern, origin))


def _split(netloc: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{netloc}")
        return parts.hostname or "", parts.port
    except ValueError:  # no port, or no address
        return "", None


def _is_here(name: str) -> bool:
    if f".{name}".removesuffix(".").endswith(".localhost"):  # RFC 6761: never resolved elsewhere
        return True
    return _is_address(name) and ipaddress.ip_address(name.partition("%")[0]).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
