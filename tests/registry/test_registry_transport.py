"""Where a registry may lead, how blobs arrive in spite of it, and for what a login is asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builder.oci.images import noise
from tests.registry.clients import client_of
from tests.registry.fake_registry import FakeRegistry, running

from bentoml.exceptions import BentoMLException, ServiceUnavailable
from bentoml.registry.client import Registry
from bentoml.registry.documents import Descriptor
from bentoml.registry.pace import Pace
from bentoml.registry.parallel import Cancelled, Flow, in_parallel
from bentoml.registry.partials import Partials
from bentoml.registry.transport import check_hop, is_loopback
from bentoml.store.digest import Digest

DATA = noise(3_000_000)
BLOB = Descriptor("application/octet-stream", Digest.of(DATA), len(DATA))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running(FakeRegistry(blobs={str(BLOB.digest): DATA})) as fake:
        yield fake


@pytest.fixture
def client(registry: FakeRegistry) -> Iterator[Registry]:
    with client_of(f"{registry.host}/team/x:1", [], reads=["team/other"]) as client:
        yield client


@pytest.mark.parametrize(
    ("origin", "target", "allowed"),
    [
        ("https://reg.example", "https://cdn.example/blob", True),
        ("http://reg.example", "http://cdn.example/blob", True),
        ("http://reg.example", "https://cdn.example/blob", True),
        ("http://127.0.0.1:5000", "http://127.0.0.1:6000/blob", True),
        ("http://localhost:5000", "http://[::1]/blob", True),
        ("https://reg.example", "http://cdn.example/blob", False),
        ("https://reg.example", "https://127.0.0.1/blob", False),
        ("http://reg.example", "http://localhost:8080/blob", False),
        ("http://reg.example", "http://x.localhost/blob", False),
        ("http://reg.example", "http://169.254.169.254/latest", False),
        ("http://reg.example", "http://[::ffff:127.0.0.1]/blob", False),
        ("http://reg.example", "http://0.0.0.0/blob", False),
        ("http://reg.example", "file:///etc/passwd", False),
    ],
)
def test_where_a_registry_may_lead(origin: str, target: str, allowed: bool) -> None:
    if allowed:
        check_hop(origin, target)
    else:
        with pytest.raises(BentoMLException, match=r"leads to .* that is not followed"):
            check_hop(origin, target)


def test_loopback_is_known_with_and_without_a_port() -> None:
    assert all(map(is_loopback, ["localhost", "localhost:5000", "127.0.0.1", "127.8.9.1:1", "[::1]:5000"]))
    assert not any(map(is_loopback, ["reg.example", "10.0.0.1", "169.254.0.1:80", "0.0.0.0"]))


def test_redirects_have_an_end(registry: FakeRegistry, client: Registry) -> None:
    registry.blobs_at = registry.host
    with pytest.raises(BentoMLException, match="redirects without end"):
        list(client.blob(BLOB))


def test_a_login_holds_for_all_repositories_that_are_needed(registry: FakeRegistry, client: Registry) -> None:
    registry.realm = "self"
    assert client.has_blob(BLOB)
    token = next(path for path in registry.paths() if path.startswith("/token"))
    assert token.count("scope=") == 2
    assert "repository%3Ateam%2Fother%3Apull" in token and "repository%3Ax%3Apull%2Cpush" in token


def test_threads_log_in_once(registry: FakeRegistry, client: Registry) -> None:
    registry.realm = "self"
    in_parallel([lambda: _has(client)] * 8, threads=8, flow=Flow())
    assert sum(path.startswith("/token") for path in registry.paths()) == 1


def _has(client: Registry) -> None:
    assert client.has_blob(BLOB)


def test_a_blob_of_another_size_is_not_the_blob(client: Registry) -> None:
    with pytest.raises(BentoMLException, match="with 3000000 bytes instead of 1"):
        client.has_blob(Descriptor("x", BLOB.digest, 1))


def test_a_blob_that_comes_a_byte_at_a_time_is_given_up(registry: FakeRegistry) -> None:
    registry.trickle, registry.piece = 0.01, 1
    pauses: list[float] = []
    with (
        client_of(f"{registry.host}/team/x:1", pauses, pace=Pace(least=100, seconds=0.1)) as client,
        pytest.raises(ServiceUnavailable, match=r"`127\.0\.0\.1` is too slow: only"),
    ):
        list(client.blob(BLOB))
    assert len(pauses) == 3
    starts = [int(headers.get("Range", "bytes=0-")[6:-1]) for _, _, headers in registry.seen]
    assert len(starts) == 4 and starts == sorted(set(starts)), "what came is not fetched again"


def test_a_connection_that_breaks_after_each_byte_is_given_up(registry: FakeRegistry) -> None:
    registry.cut_after = [1] * 1000
    pauses: list[float] = []
    with client_of(f"{registry.host}/team/x:1", pauses) as client, pytest.raises(ServiceUnavailable):
        list(client.blob(BLOB))
    assert len(pauses) == 3


def test_what_has_arrived_is_not_fetched_again(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    partials, told = Partials(tmp_path / "partial"), list[int]()
    registry.cut_after = [1_000_000, 0, 0, 0, 0]
    with pytest.raises(ServiceUnavailable):
        partials.fetch(client, BLOB, tmp_path / "blob", told.append)
    assert (tmp_path / "partial" / BLOB.digest.hex).stat().st_size == 1_000_000
    told.clear()
    assert partials.fetch(client, BLOB, tmp_path / "blob", told.append) == 2_000_000
    assert (tmp_path / "blob").read_bytes() == DATA
    assert sum(told) == len(DATA)
    partials.drop([BLOB])
    assert list((tmp_path / "partial").iterdir()) == []
    assert (tmp_path / "blob").stat().st_nlink == 1


@pytest.mark.parametrize("left", [b"wrong", DATA + b"more", DATA[:-1] + b"!"], ids=["start", "long", "end"])
def test_what_is_left_of_something_else_does_no_harm(
    registry: FakeRegistry, client: Registry, tmp_path: Path, left: bytes
) -> None:
    partials = Partials(tmp_path / "partial")
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / BLOB.digest.hex).write_bytes(left)
    for attempt in range(2):
        try:
            partials.fetch(client, BLOB, tmp_path / "blob", lambda count: None)
            break
        except BentoMLException as e:
            assert attempt == 0 and "when asked for" in str(e)
    assert (tmp_path / "blob").read_bytes() == DATA


def test_two_may_fetch_the_same_blob_at_once(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    partials = Partials(tmp_path / "partial")
    targets = [tmp_path / str(number) for number in range(6)]

    def fetch(target: Path) -> None:
        partials.fetch(client, BLOB, target, lambda count: None)
        target.chmod(0o600 + 0o100 * (int(target.name) % 2))

    in_parallel([lambda target=target: fetch(target) for target in targets], threads=6, flow=Flow())  # type: ignore[misc]
    assert all(target.read_bytes() == DATA for target in targets)
    assert [bool(target.stat().st_mode & 0o100) for target in targets] == [False, True] * 3


FETCH = """
import sys
from pathlib import Path
from bentoml.registry.documents import Descriptor
from bentoml.registry.partials import Partials
from bentoml.store.digest import Digest

class There:
    host = "there"
    def blob(self, descriptor, start=0):
        yield b"whole"[start:]

folder = Path(sys.argv[1])
blob, partials = Descriptor("x", Digest.of(b"whole"), 5), Partials(folder / "partial")
left = folder / "partial" / blob.digest.hex
left.parent.mkdir()
left.write_bytes(b"wh")
left.chmod(int(sys.argv[2], 8))
partials.fetch(There(), blob, folder / "blob", lambda count: None)
partials.drop([blob])
"""
AS_A_USER = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
]


@pytest.mark.parametrize("mode", ["400", "0"], ids=["read-only", "of another user"])
def test_what_is_left_and_may_not_be_written_is_left_alone(tmp_path: Path, mode: str) -> None:
    rights = AS_A_USER if os.getuid() == 0 else []
    subprocess.run([*rights, sys.executable, "-c", FETCH, str(tmp_path), mode], check=True)
    assert (tmp_path / "blob").read_bytes() == b"whole"
    assert len(list((tmp_path / "partial").iterdir())) == (mode == "0"), "what can be locked is dropped"


def test_a_blob_that_another_process_is_at_is_not_dropped(client: Registry, tmp_path: Path) -> None:
    partials = Partials(tmp_path / "partial")

    def dropping(count: int) -> None:
        partials.drop([BLOB])

    partials.fetch(client, BLOB, tmp_path / "blob", dropping)
    assert (tmp_path / "blob").read_bytes() == DATA


def test_the_first_failure_ends_all_transfers() -> None:
    flow, began = Flow(lambda count: None), threading.Event()
    ended: list[str] = []

    def endless() -> None:
        began.set()
        try:
            while True:
                flow.moved(1)
        except Cancelled:
            ended.append("cancelled")
            raise

    def failing() -> None:
        began.wait(60)
        raise BentoMLException("the reason")

    with pytest.raises(BentoMLException, match="the reason"):
        in_parallel([endless, failing, lambda: ended.append("never")], threads=2, flow=flow)
    assert ended == ["cancelled"]


def test_all_tasks_are_done_once() -> None:
    done: list[int] = []
    in_parallel([lambda n=n: done.append(n) for n in range(5000)], threads=16, flow=Flow())  # type: ignore[misc]
    assert sorted(done) == list(range(5000))
    in_parallel([], threads=4, flow=Flow())


def test_an_interrupt_is_not_kept_waiting() -> None:
    silent = threading.Event()
    interrupt = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_parallel([lambda: None, lambda: _ignore(silent.wait(100))], threads=2, flow=Flow())
    assert time.monotonic() - began < 60
    silent.set()


def _ignore(value: bool) -> None:
    pass
