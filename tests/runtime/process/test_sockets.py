"""Reserved addresses and the sockets of the workers."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator

import pytest

from bentoml.exceptions import BentoMLException
from bentoml.runtime.process.sockets import Reservation, allow_all_connections, reserve


@pytest.fixture
def reservation() -> Iterator[Reservation]:
    reserved = reserve("127.0.0.1", 0)
    yield reserved
    reserved.close()


def connects(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_reservation_does_not_listen_but_its_workers_do(reservation: Reservation) -> None:
    assert not connects(reservation.port)
    with reservation.worker_socket() as first, reservation.worker_socket() as second:
        assert first.getsockname() == second.getsockname() == ("127.0.0.1", reservation.port)
        assert not connects(reservation.port)
        first.listen()
        second.listen()
        assert connects(reservation.port)
    assert not connects(reservation.port)


def test_a_reserved_port_is_in_use_before_and_while_somebody_listens(reservation: Reservation) -> None:
    message = f"port `{reservation.port}` on `127.0.0.1` is already in use"
    with pytest.raises(BentoMLException, match=message):
        reserve("127.0.0.1", reservation.port)
    with reservation.worker_socket() as worker:
        worker.listen()
        with pytest.raises(BentoMLException, match=message):
            reserve("127.0.0.1", reservation.port)


def test_a_port_that_another_program_listens_on() -> None:
    other = socket.create_server(("127.0.0.1", 0))
    with other, pytest.raises(BentoMLException, match="is already in use") as caught:
        reserve("127.0.0.1", other.getsockname()[1])
    assert isinstance(caught.value.__cause__, OSError) and caught.value.__cause__.errno == errno.EADDRINUSE


def test_a_port_whose_connections_have_just_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            other.accept()[0].close()  # who closes first keeps the port in TIME_WAIT
            assert client.recv(1) == b""
    reserved = reserve("127.0.0.1", port)
    with reserved.worker_socket() as worker:
        worker.listen()
        assert connects(port)
    reserved.close()


def test_a_name_means_its_ipv4_address() -> None:
    reserved = reserve("localhost", 0)
    with reserved.worker_socket() as worker:
        assert worker.getsockname() == ("127.0.0.1", reserved.port)
    reserved.close()


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        pytest.param("no such host", 0, "host `no such host` cannot be resolved", id="unknown"),
        pytest.param("a" * 70, 0, "cannot be resolved", id="not a name"),
        pytest.param("", 0, "cannot be resolved", id="empty"),
        pytest.param("192.0.2.1", 0, "`192.0.2.1` is not an address of this machine", id="foreign"),
        pytest.param("127.0.0.1", 70000, "port `70000` is not between 0 and 65535", id="port too large"),
    ],
)
def test_an_address_that_cannot_be_used(host: str, port: int, message: str) -> None:
    with pytest.raises(BentoMLException, match=message):
        reserve(host, port)


def test_a_worker_may_have_as_many_connections_as_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[0]), before[1]))
    try:
        allow_all_connections()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
