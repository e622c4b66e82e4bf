"""Listening sockets: one for each worker, on one address that the supervisor keeps reserved."""

from __future__ import annotations

import errno
import resource
import socket
from dataclasses import dataclass
from typing import TypeAlias

from ...exceptions import BentoMLException

__all__ = ["Reservation", "allow_all_connections", "reserve"]

_SockAddr: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

_REASONS = {
    errno.EADDRINUSE: "port {port} on {host} is already in use; stop what listens there or choose another with `--port`",
    errno.EACCES: "port {port} may not be used by this user; choose one above 1023 with `--port`",
    errno.EADDRNOTAVAIL: "host {host} is not an address of this machine; choose another with `--host`",
}


@dataclass(frozen=True)
class Reservation:
    """Hold an address without listening on it, and make the sockets that do.

    Each worker owns its socket alone, so that a dead worker's port refuses connections at once rather than letting
    them wait for nobody, and the kernel spreads new connections over the workers that are really there.
    """

    host: str
    asked_port: int
    port: int
    _socket: socket.socket
    _address: _SockAddr

    def worker_socket(self) -> socket.socket:
        """Return a socket that is bound to the address; it starts to listen when its worker is ready."""
        return _bound(self._socket.family, self._address, reuse_address=True)

    def close(self) -> None:
        """Give the address back; workers that still listen are not disturbed."""
        self._socket.close()


def allow_all_connections() -> None:
    """Let this process open as many files, and so connections, as the system lets it: the usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def reserve(host: str, port: int) -> Reservation:
    """Reserve an address for this server alone; port 0 takes a free one.

    Raises:
        BentoMLException: the address is in use (also by a server that shares its port), unknown or not allowed.
    """
    family, address = _resolve(host, port)
    try:
        if port:
            _probe(family, address)
        held = _hold(family, address)
    except OSError as e:
        reason = _REASONS.get(e.errno or 0, f"cannot listen on {{host}}, port {{port}}: {e.strerror}")
        raise BentoMLException(reason.format(host=f"`{host}`", port=f"`{port}`")) from e
    bound = held.getsockname()
    return Reservation(host, port, bound[1], held, (address[0], bound[1], *address[2:]))


def _resolve(host: str, port: int) -> tuple[int, _SockAddr]:
    """Return one address of a host; an IPv4 one is preferred, since `localhost` often has no IPv6 in containers."""
    if not 0 <= port <= 65535:
        raise BentoMLException(f"port `{port}` is not between 0 and 65535")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as e:
        raise BentoMLException(f"host `{host}` cannot be resolved; choose another with `--host`") from e
    family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return family, address  # type: ignore[return-value]  # only IPv4 and IPv6 have stream sockets with ports


def _probe(family: int, address: _SockAddr) -> None:
    """Fail where anybody listens, also with SO_REUSEPORT: a socket without it never joins one that has it."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _hold(family: int, address: _SockAddr) -> socket.socket:
    """Bind so that another server's probe fails while no worker listens yet: that takes a socket without SO_REUSEADDR.

    Just-closed connections of another program (TIME_WAIT) can forbid that for a minute; then hold it the weaker way.
    """
    try:
        return _bound(family, address, reuse_address=False)
    except OSError as e:
        if e.errno != errno.EADDRINUSE:
            raise
        return _bound(family, address, reuse_address=True)


def _bound(family: int, address: _SockAddr, *, reuse_address: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse_address)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made
