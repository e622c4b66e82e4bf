"""Frames over a socket pair."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from bentoml.runtime.process.frames import Channel, Description, Failed, Frame, Ping, Pong, Ready, Serve

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = socket.socketpair()
    other.settimeout(5)
    channels = Channel(one), Channel(other)
    yield channels
    for channel in channels:
        channel.close()


def test_frames_arrive_as_they_were(ends: Ends) -> None:
    sent: list[Frame] = [
        Ping(),
        Failed(3, "line\nline \u00e9 \x1f"),
        Description({"bento_tag": None}, "s", "cpu_count", "h", 1, 2, 3.5, {"version": 17}, ["d"]),
        Ready(),
    ]
    for frame in sent:
        ends[0].send(frame)
    assert [ends[1].receive() for _ in sent] == sent


def test_a_frame_larger_than_a_read(ends: Ends) -> None:
    ends[0].send(Failed(1, "x" * 150_000))
    assert ends[1].receive() == Failed(1, "x" * 150_000)


def test_a_descriptor_travels_with_its_frame(ends: Ends) -> None:
    reader, writer = os.pipe()
    order = Serve(True, 1, False, 10, 5, 60, "/tmp", {})
    ends[0].send(order, [writer])
    os.close(writer)
    assert ends[1].receive() == order
    (received,) = ends[1].descriptors
    assert not os.get_inheritable(received)
    os.write(received, b"hello")
    os.close(received)
    assert os.read(reader, 10) == b"hello"
    os.close(reader)


def test_the_end(ends: Ends) -> None:
    ends[0].send(Pong())
    ends[0].close()
    assert ends[1].receive() == Pong()
    assert ends[1].receive() is None
    ends[1].send(Ping())  # to nobody: not an error


def test_only_known_frames_are_made() -> None:
    one, other = socket.socketpair()
    with one:
        channel = Channel(other)
        one.sendall(b'{"frame": "os.system"}\n')
        with pytest.raises(KeyError):
            channel.receive()
        channel.close()
