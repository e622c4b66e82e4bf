"""Uploads end well whatever the registry, or what is before it, does on the way; or they say what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from tests.builder.oci.images import noise
from tests.registry.fake_registry import FakeRegistry, running

from bentoml.exceptions import BentoMLException, NotFound, ServiceUnavailable
from bentoml.registry import upload as module
from bentoml.registry.client import Registry
from bentoml.registry.contents import Bytes
from bentoml.registry.documents import Descriptor
from bentoml.registry.memory import Memory
from bentoml.registry.upload import Upload
from bentoml.store.digest import Digest

SMALL = noise(300_000)
LARGE = noise(9 << 20)
assert len(SMALL) < module._SMALL < len(LARGE)


def descriptor(data: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", Digest.of(data), len(data))


def upload(client: Registry, folder: Path, data: bytes, told: list[int] | None = None) -> Upload:
    heard = [] if told is None else told
    return Upload(client, descriptor(data), Bytes(data), Memory(folder / "memory"), heard.append)


def assert_arrived(registry: FakeRegistry, data: bytes) -> None:
    digest = str(Digest.of(data))
    assert registry.blobs[digest] == data
    assert digest in registry.places["team/x"]


def methods(registry: FakeRegistry) -> list[str]:
    return [method for method, _, _ in registry.seen]


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_blob_takes_two_requests(
    registry: FakeRegistry, client: Registry, tmp_path: Path, data: bytes
) -> None:
    told: list[int] = []
    sent = upload(client, tmp_path, data, told)
    sent.run()
    assert_arrived(registry, data)
    assert methods(registry) == ["POST", "PUT"]
    assert sent.sent == sum(told) == len(data)
    assert list((tmp_path / "memory").glob("*")) == [], "nothing is left to be taken up"


@pytest.mark.parametrize(
    "cuts", [[1_000_000], [0], [5_000_000, 1_000_000, 1]], ids=["one", "nothing", "more"]
)
def test_a_broken_upload_goes_on_where_it_broke(
    registry: FakeRegistry, client: Registry, tmp_path: Path, cuts: list[int]
) -> None:
    registry.break_after = cuts[:]
    told: list[int] = []
    upload(client, tmp_path, LARGE, told).run()
    assert_arrived(registry, LARGE)
    assert registry.received == len(LARGE), "no byte is stored twice"
    assert sum(told) == len(LARGE)


def test_a_registry_that_takes_some_bytes_at_a_time_is_given_up(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    registry.break_after = [2] * 1000
    with pytest.raises(ServiceUnavailable):
        upload(client, tmp_path, LARGE).run()
    assert registry.received == 8


def test_an_upload_that_the_registry_has_forgotten_begins_anew(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    registry.break_after, registry.lose_sessions = [1_000_000], 1
    upload(client, tmp_path, LARGE).run()
    assert_arrived(registry, LARGE)
    assert registry.received == len(LARGE) + 1_000_000


def test_an_upload_that_another_process_is_at_is_left_to_it(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    ours, theirs = upload(client, tmp_path, LARGE), upload(client, tmp_path, LARGE)
    begun = Event()

    class Slow(Bytes):
        def chunks(self, start: int, size: int) -> Iterator[bytes]:
            whole = b"".join(super().chunks(start, size))
            yield whole[:1_000_000]
            if not begun.is_set():
                begun.set()
                theirs.run()
            yield whole[1_000_000:]

    ours.content = Slow(LARGE)
    ours.run()
    assert_arrived(registry, LARGE)
    assert sorted(methods(registry)) == ["POST", "POST", "PUT", "PUT"], "each has an upload of its own"
    assert list((tmp_path / "memory").glob("*")) == []


def test_an_upload_that_always_breaks_is_given_up(
    registry: FakeRegistry, client: Registry, tmp_path: Path, pauses: list[float]
) -> None:
    registry.break_after = [0] * 20
    with pytest.raises(ServiceUnavailable, match=r"the connection to .* broke"):
        upload(client, tmp_path, LARGE).run()
    assert len(pauses) == 3 and pauses == sorted(pauses)


def test_another_run_takes_up_what_was_sent(registry: FakeRegistry, client: Registry, tmp_path: Path) -> None:
    registry.break_after = [5_000_000, 0, 0, 0, 0]
    with pytest.raises(ServiceUnavailable):
        upload(client, tmp_path, LARGE).run()
    told: list[int] = []
    second = upload(client, tmp_path, LARGE, told)
    second.run()
    assert_arrived(registry, LARGE)
    assert second.sent == len(LARGE) - 5_000_000
    assert sum(told) == len(LARGE)


def test_another_run_begins_anew_where_the_registry_has_forgotten(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    registry.break_after = [5_000_000, 0, 0, 0, 0]
    with pytest.raises(ServiceUnavailable):
        upload(client, tmp_path, LARGE).run()
    registry.sessions.clear()
    second = upload(client, tmp_path, LARGE)
    second.run()
    assert_arrived(registry, LARGE)
    assert second.sent == len(LARGE)


def test_what_is_too_large_at_once_goes_in_parts(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    registry.largest_body = 4 << 20
    sent = upload(client, tmp_path, LARGE)
    sent.part = 2 << 20
    sent.run()
    assert_arrived(registry, LARGE)
    assert methods(registry) == ["POST", "PUT", *["PATCH"] * 5, "PUT"]
    registry.largest_body = 1000
    with pytest.raises(BentoMLException, match=r"refuses .* as too large \(status 413\).*a proxy"):
        upload(client, tmp_path, SMALL).run()


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_registry_that_asks_to_slow_down_is_heeded(
    registry: FakeRegistry, client: Registry, tmp_path: Path, pauses: list[float], data: bytes
) -> None:
    registry.statuses, registry.retry_after = [429, 0, 429], "3"
    upload(client, tmp_path, data).run()
    assert_arrived(registry, data)
    assert pauses == [3.0, 3.0]


def test_one_that_goes_on_asking_is_given_up(
    registry: FakeRegistry, client: Registry, tmp_path: Path, pauses: list[float]
) -> None:
    registry.statuses = [429] * 30
    with pytest.raises(
        ServiceUnavailable, match=r"slow down \(status 429\); try later, or with fewer `--threads`"
    ):
        upload(client, tmp_path, SMALL).run()
    assert len(pauses) == 3


def test_a_mount_sends_nothing(registry: FakeRegistry, client: Registry, tmp_path: Path) -> None:
    registry.places["other/y"] = {str(Digest.of(SMALL))}
    mounted = upload(client, tmp_path, SMALL)
    mounted.run("other/y")
    assert mounted.mounted and not mounted.sent
    assert methods(registry) == ["POST"]
    refused = upload(client, tmp_path, LARGE)
    refused.run("other/y")
    assert not refused.mounted
    assert_arrived(registry, LARGE)


def test_uploads_elsewhere_are_sent_there_without_our_login(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    registry.realm = "self"
    with running(
        FakeRegistry(sessions=registry.sessions, blobs=registry.blobs, places=registry.places)
    ) as storage:
        registry.uploads_at = storage.uploads_at = storage.host
        upload(client, tmp_path, SMALL).run()
        assert_arrived(registry, SMALL)
        assert methods(storage) == ["PUT"]
        assert all("Authorization" not in headers for _, _, headers in storage.seen)


def test_a_login_that_ends_in_the_middle_is_renewed(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    registry.realm = "self"
    registry.statuses = [0, 0, 401]  # the challenge, the beginning, and then the token has expired
    upload(client, tmp_path, LARGE).run()
    assert_arrived(registry, LARGE)
    assert sum(path.startswith("/token") for path in registry.paths()) == 2


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, BentoMLException, r"does not let us write to `team/x` \(status 401\).*docker login"),
        (403, BentoMLException, r"does not let us write to `team/x` \(status 403\).*docker login"),
        (404, NotFound, r"no repository `team/x` to write to.*made first"),
        (405, BentoMLException, r"takes no uploads \(status 405\).*mirror"),
        (418, BentoMLException, r"refuses .* \(status 418\)"),
    ],
)
def test_a_refusal_says_what_to_do(
    registry: FakeRegistry, client: Registry, tmp_path: Path, status: int, error: type[Exception], words: str
) -> None:
    registry.statuses = [status, status]
    with pytest.raises(error, match=words):
        upload(client, tmp_path, SMALL).run()


@pytest.mark.parametrize("status", [200, 202])
def test_an_upload_that_is_begun_nowhere_is_refused(
    registry: FakeRegistry, client: Registry, tmp_path: Path, status: int
) -> None:
    registry.statuses = [status] * 20
    with pytest.raises(BentoMLException, match="does not say where to send the upload"):
        upload(client, tmp_path, SMALL).run()
    assert len(registry.statuses) == 19, "it is not asked again and again"


def test_content_that_is_not_what_it_was_is_refused(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    wrong = Upload(client, descriptor(SMALL), Bytes(SMALL[:-1] + b"!"), Memory(tmp_path), lambda count: None)
    with pytest.raises(
        BentoMLException,
        match=r"refuses what it got for `sha256:.*status 400, DIGEST_INVALID: not what you said",
    ):
        wrong.run()


def test_a_registry_that_says_that_it_has_something_else_is_not_believed(
    registry: FakeRegistry, client: Registry, tmp_path: Path
) -> None:
    registry.said_digest = str(Digest.of(b"else"))
    with pytest.raises(BentoMLException, match=r"stored `sha256:.*` instead of"):
        upload(client, tmp_path, SMALL).run()
