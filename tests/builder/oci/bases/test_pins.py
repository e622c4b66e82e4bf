"""Which digest a base has now, and who is not asked again and again."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builder.oci.images import APP, small_image
from tests.registry.fake_registry import FakeRegistry

from bentoml.builder.oci.bases.pins import BaseDigests
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.model import Platform
from bentoml.exceptions import BentoMLConfigException, BentoMLException
from bentoml.registry.auth import Credentials
from bentoml.store.digest import Digest

ARM = small_image("arm", architecture="arm64")
AMD64 = Platform()


@pytest.fixture
def digests(cache: Path) -> BaseDigests:
    return BaseDigests(cache, {})


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address of this machine that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_the_digest_is_that_of_the_index_where_there_is_one(
    registry: FakeRegistry, digests: BaseDigests
) -> None:
    assert digests.find(f"{registry.host}/team/app:1", AMD64) == APP.root.digest
    index = registry.add_index("team/app", "multi", APP, ARM)
    assert digests.find(f"{registry.host}/team/app:multi", AMD64) == index
    pinned = f"{registry.host}/team/app:multi@{index}"
    for image in (APP, ARM):
        base = open_base(pinned, platform=image.platform, cache=digests.root, env={})
        assert base.digest == image.root.digest


@pytest.mark.parametrize("reference", ["debs:", "debs:Bookworm", "debs:bookworm:a b"])
def test_what_is_no_base_of_packages_is_a_mistake_of_the_build_file(
    digests: BaseDigests, reference: str
) -> None:
    for _ in range(2):  # and is not remembered as one that did not answer
        with pytest.raises(BentoMLConfigException, match=f"`docker.base_image`: `{reference}` is not a base"):
            digests.find(reference, AMD64)


def test_a_pin_holds_though_the_tag_moves(registry: FakeRegistry, digests: BaseDigests) -> None:
    name = f"{registry.host}/team/app:1"
    pin = digests.find(name, AMD64)
    registry.add("team/app", "1", small_image("two"))
    assert (
        open_base(f"{name}@{pin}", platform=AMD64, cache=digests.root / "other", env={}).digest
        == APP.root.digest
    )
    assert digests.find(name, AMD64) == small_image("two").root.digest


def test_who_cannot_be_reached_is_told_once_and_asked_again_later(
    digests: BaseDigests, nobody: str, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    for _ in range(3):
        assert digests.find(f"{nobody}/team/app:1", AMD64) is None
    assert time.monotonic() - started < 10, "nothing like the minutes in which others are asked again"
    (said,) = caplog.messages
    assert f"`{nobody}/team/app:1`" in said and "cannot be reached" in said and "--update-base" in said
    (file,) = (digests.root / "records").iterdir()
    digests.cache.remember(Digest(file.stem), {"at": time.time() - 4000})
    assert digests.find(f"{nobody}/team/app:1", AMD64) is None
    assert len(caplog.messages) == 2, "an hour later"


def test_one_who_comes_back_is_asked_when_the_user_insists(
    registry: FakeRegistry, digests: BaseDigests
) -> None:
    registry.statuses = [500]
    name = f"{registry.host}/team/app:1"
    assert digests.find(name, AMD64) is None
    assert len(registry.seen) == 1, "it is not asked twice"
    assert digests.find(name, AMD64) is None
    assert len(registry.seen) == 1, "nor by the next build"
    assert replace(digests, insists=True).find(name, AMD64) == APP.root.digest


def test_an_error_is_an_error_when_the_user_insists(
    registry: FakeRegistry, digests: BaseDigests, nobody: str
) -> None:
    insisting = replace(digests, insists=True)
    with pytest.raises(
        BentoMLException, match=r"`.*/team/app:1` cannot be found: .*cannot be reached.*--update-base"
    ):
        insisting.find(f"{nobody}/team/app:1", AMD64)
    with pytest.raises(BentoMLException, match="has no `team/app:2`"):
        insisting.find(f"{registry.host}/team/app:2", AMD64)
    with pytest.raises(BentoMLException, match="is not an image reference"):
        insisting.find("NOT A NAME", AMD64)


@pytest.mark.slow
def test_one_who_accepts_and_says_nothing_is_not_waited_for(digests: BaseDigests) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        assert digests.find(f"{host}/team/app:1", AMD64) is None
        assert time.monotonic() - started < 30, "others have a minute"


def test_a_login_is_used(registry: FakeRegistry, digests: BaseDigests, tmp_path: Path) -> None:
    registry.realm, registry.basic = "self", Credentials("me", "secret").basic
    (tmp_path / "config.json").write_text(
        f'{{"auths": {{"{registry.host}": {{"username": "me", "password": "secret"}}}}}}'
    )
    env = {"DOCKER_CONFIG": str(tmp_path)}
    assert replace(digests, env=env).find(f"{registry.host}/team/app:1", AMD64) == APP.root.digest


@pytest.mark.parametrize("base", ["team/app:1", "debs:bookworm", "docker://mine:1"])
def test_offline_asks_nobody_and_knows_what_was_seen(
    registry: FakeRegistry, digests: BaseDigests, caplog: pytest.LogCaptureFixture, base: str
) -> None:
    env = {"DOCKER_HOST": f"tcp://{registry.host}", "PATH": os.environ["PATH"]}
    offline = replace(digests, offline=True, env=env)
    name = base if ":" in base.partition("/")[0] else f"{registry.host}/{base}"
    assert offline.find(name, AMD64) is None
    assert registry.seen == [] and caplog.messages == []


def test_offline_the_digest_of_the_last_time_is_known(registry: FakeRegistry, digests: BaseDigests) -> None:
    name = f"{registry.host}/team/app:1"
    digests.find(name, AMD64)
    asked = len(registry.seen)
    assert replace(digests, offline=True).find(name, AMD64) == APP.root.digest
    assert len(registry.seen) == asked


def test_what_a_build_has_asked_an_image_needs_not_ask(registry: FakeRegistry, digests: BaseDigests) -> None:
    name = f"{registry.host}/team/app:1"
    pin = digests.find(name, AMD64)
    registry.seen.clear()
    open_base(f"{name}@{pin}", platform=AMD64, cache=digests.root, env={})
    assert [path.rpartition("/")[2] for path in registry.paths()] == [str(APP.config_descriptor.digest)]
