"""What registries do wrong while a base is pulled: it is survived or explained, and never gives a wrong image."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from tests.builder.oci.images import APP, content
from tests.registry.fake_registry import FakeRegistry
from tests.registry.real import real_registry

from bentoml.builder.backends.select import open_sink
from bentoml.builder.oci.bases.pins import BaseDigests
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.model import Base, Platform
from bentoml.exceptions import BentoMLException, NotFound, ServiceUnavailable
from bentoml.process import run
from bentoml.registry.client import Registry

WEIGHTS = APP.layers[0].descriptor
SECRET = "a-password"
HTPASSWD = "me:$2b$04$BCjs0pnSxMJLIBhWFSpJaeO4CDF8KPp8/hTbX5yGqt3W9lqVkWxhG\n"  # of `secret`


def opened(host: str, cache: Path, env: Mapping[str, str] | None = None, *, offline: bool = False) -> Base:
    return open_base(f"{host}/team/app:1", platform=Platform(), cache=cache, env=env or {}, offline=offline)


def test_a_date_says_how_long_to_wait(registry: FakeRegistry, client: Registry, pauses: list[float]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True)
    for said, least, most in [(soon, 5, 9), ("7", 7, 7), ("3600", 30, 30), ("yesterday", 0.3, 0.3)]:
        registry.statuses, registry.retry_after = [429], said
        client.manifest("1")
        assert least <= pauses[-1] <= most, said
    registry.statuses, registry.retry_after = (
        [429],
        format_datetime(datetime(2000, 1, 1, tzinfo=UTC), usegmt=True),
    )
    client.manifest("1")
    assert pauses[-1] == 0.3, "which has passed"


def test_one_who_stays_busy_is_named(registry: FakeRegistry, client: Registry) -> None:
    registry.statuses = [429] * 4
    with pytest.raises(ServiceUnavailable, match="slow down"):
        client.manifest("1")


@pytest.mark.parametrize("status", [401, 403])
def test_one_who_lets_nobody_in_is_not_asked_again(
    registry: FakeRegistry, tmp_path: Path, status: int
) -> None:
    registry.statuses = [status] * 9
    with pytest.raises(NotFound, match=rf"status {status}.*docker login"):
        opened(registry.host, tmp_path)
    assert len(registry.seen) <= 2


def test_a_manifest_that_was_cut_is_asked_for_again(
    registry: FakeRegistry, client: Registry, pauses: list[float]
) -> None:
    registry.cut_manifests = [10, 100]
    assert client.manifest("1")[1] == APP.manifest
    assert len(pauses) == 2
    registry.cut_manifests = [10] * 9
    with pytest.raises(ServiceUnavailable, match="broke"):
        client.manifest("1")
    assert len(registry.cut_manifests) == 5


def test_a_layer_that_is_cut_goes_on_where_it_was(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.cut_after = [0, 5000]  # of the configuration, and of the first layer
    assert content(opened(registry.host, tmp_path)) == content(APP)


def test_a_layer_that_is_shorter_than_it_should_be_is_refused(
    registry: FakeRegistry, client: Registry
) -> None:
    registry.blobs[str(WEIGHTS.digest)] = registry.blobs[str(WEIGHTS.digest)][:-10]
    with pytest.raises(ServiceUnavailable, match=rf"after {WEIGHTS.size - 10} of {WEIGHTS.size} bytes"):
        b"".join(client.blob(WEIGHTS))


def test_a_layer_without_end_is_cut_off(registry: FakeRegistry, tmp_path: Path) -> None:
    base = opened(registry.host, tmp_path)
    registry.endless = True
    with pytest.raises(BentoMLException, match="more than its"):
        content(base)
    assert not (tmp_path / "blobs/sha256" / WEIGHTS.digest.hex).exists()


def test_a_registry_that_says_another_digest_than_it_gives_is_refused(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.said_digest = f"sha256:{'0' * 64}"
    with pytest.raises(BentoMLException, match="says that it has"):
        opened(registry.host, tmp_path)


def test_a_slow_registry_is_waited_for(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.trickle = 0.02
    assert content(opened(registry.host, tmp_path)) == content(APP)


def test_what_failed_can_be_tried_again(registry: FakeRegistry, tmp_path: Path) -> None:
    good = registry.blobs[str(WEIGHTS.digest)]
    registry.blobs[str(WEIGHTS.digest)] = good[:-1] + b"X"
    base = opened(registry.host, tmp_path)
    with pytest.raises(BentoMLException, match="is not what it should be"):
        content(base)
    registry.blobs[str(WEIGHTS.digest)] = good
    assert content(base) == content(APP)


@pytest.mark.parametrize(
    ("base", "missing"),
    [
        pytest.param("nowhere.invalid/app:1", "the manifest", id="registry"),
        pytest.param(f"nowhere.invalid/app@{WEIGHTS.digest}", "the manifest", id="pinned"),
        pytest.param("debs:bookworm", "the packages of `debs:bookworm`", id="debs"),
        pytest.param(f"debs:bookworm@{WEIGHTS.digest}", "the packages of `debs:bookworm`", id="pinned debs"),
        pytest.param("docker://app:1", "`tcp://nowhere.invalid:2375`, which `--offline` does not dial", id="engine"),
        pytest.param("oci:none", "`none` is not an OCI layout", id="layout"),
        pytest.param("rootfs:none", "no such folder or tar", id="rootfs"),
        pytest.param("docker-archive:none", "`none` cannot be read", id="archive"),
    ],
)  # fmt: skip
def test_offline_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str, missing: str
) -> None:
    monkeypatch.chdir(tmp_path)
    env = {"DOCKER_HOST": "tcp://nowhere.invalid:2375"}
    with pytest.raises(NotFound) as raised:
        open_base(base, platform=Platform(), cache=tmp_path / "cache", env=env, offline=True)
    assert missing in str(raised.value)


def test_a_helper_has_the_credentials(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.basic = "Basic bWU6YS1wYXNzd29yZA=="  # me:a-password
    program = tmp_path / "docker-credential-box"
    said = json.dumps({"Username": "me", "Secret": SECRET})
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/asked\necho '{said}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {registry.host: "box"}}))
    env = {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert content(opened(registry.host, tmp_path / "cache", env)) == content(APP)
    assert (tmp_path / "asked").read_text() == registry.host
    found = [
        path
        for path in (tmp_path / "cache").rglob("*")
        if path.is_file() and SECRET in path.read_text("latin-1")
    ]
    assert found == []


@pytest.mark.engine
def test_a_real_registry_that_wants_a_login(tmp_path: Path) -> None:
    open_sink(f"type=oci,dest={tmp_path / 'ours'}", env={}).write(APP, ["app:1"])
    with real_registry(tmp_path, htpasswd=HTPASSWD) as host:
        target = f"docker://{host}/team/app:1"
        run(["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-creds=me:secret",
             f"oci:{tmp_path}/ours:1", target])  # fmt: skip
        with pytest.raises(NotFound, match=r"status 401.*docker login"):
            opened(host, tmp_path / "nobody")
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": "bWU6c2VjcmV0"}}}))
        env = {"DOCKER_CONFIG": str(tmp_path)}
        assert content(opened(host, tmp_path / "cache", env)) == content(APP)
        pin = BaseDigests(tmp_path / "cache", env).find(f"{host}/team/app:1", Platform())
        assert pin == APP.root.digest
    assert content(opened(host, tmp_path / "cache", env, offline=True)) == content(APP)
