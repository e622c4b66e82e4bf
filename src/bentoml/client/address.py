"""Address: where a server is, from the many ways in which people write it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..exceptions import InvalidArgument

__all__ = ["Address"]


@dataclass(frozen=True, slots=True)
class Address:
    """Name a server: its origin, the path under which it is reached, and its Unix socket if it listens on one.

    ``str()`` is what messages show; it never holds a password.
    """

    origin: str
    base_path: str = ""
    socket: str | None = None

    @classmethod
    def parse(cls, url: str) -> Address:
        """Parse ``http(s)://host:port/path``, ``tcp://host:port``, ``host:port`` or ``file:///path/of/a/socket``
        (also ``unix:/path/of/a/socket``).

        ``https://:3000``, as it stands in copies of the documentation that lost their `localhost`, is
        ``http://localhost:3000``.

        Raises:
            InvalidArgument: it is none of these.
        """
        text = url.strip() if isinstance(url, str) else ""
        if not text:
            raise InvalidArgument(
                f"`{url}` is not the address of a server; it looks like http://localhost:3000"
            )
        if "://" not in text and not text.startswith("unix:"):
            text = f"http://{text}"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as e:
            raise InvalidArgument(f"`{url}` is not the address of a server: {e}") from e
        if parts.scheme in ("file", "unix") and parts.path and not parts.netloc:
            return cls("http://localhost", socket=parts.path)
        scheme = "http" if parts.scheme == "tcp" else parts.scheme
        if scheme not in ("http", "https") or parts.query or parts.fragment:
            raise InvalidArgument(
                f"`{url}` is not the address of a server; it looks like http://localhost:3000 or file:///path/of/socket"
            )
        base_path = parts.path.rstrip("/")
        if parts.hostname is None:
            return cls("http://localhost" + (f":{port}" if port else ""), base_path)
        return cls(f"{scheme}://{parts.netloc}", base_path)

    def url(self, route: str) -> str:
        """Return the URL of a route of the server.

        A service with a path prefix lists its routes with the prefix, a proxy that cuts a prefix off leaves them
        without: what the route has already is not added again.
        """
        has_base = route == self.base_path or route.startswith(f"{self.base_path}/")
        return self.origin + (route if self.base_path and has_base else self.base_path + route)

    def __str__(self) -> str:
        if self.socket is not None:
            return f"file://{self.socket}"
        scheme, _, netloc = self.origin.partition("://")
        return f"{scheme}://{netloc.rpartition('@')[2]}{self.base_path}"
