"""Bases from a registry: every digest checked, nothing fetched before it is needed, faults survived or explained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.builder.oci.images import APP, content, small_image
from tests.registry.fake_registry import TOKEN, FakeRegistry, running

from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.model import Base, Image, Platform
from bentoml.exceptions import BentoMLException, NotFound, ServiceUnavailable
from bentoml.registry.auth import Credentials
from bentoml.registry.client import Registry
from bentoml.registry.documents import MediaType
from bentoml.store.digest import Digest, canonical_json

ARM = small_image("arm", architecture="arm64")


def opened(
    registry: FakeRegistry,
    cache: Path,
    name: str = "team/app:1",
    *,
    env: Mapping[str, str] | None = None,
    platform: Platform = Platform(),  # noqa: B008  # it is frozen
    offline: bool = False,
) -> Base:
    return open_base(
        f"{registry.host}/{name}", platform=platform, cache=cache, env=env or {}, offline=offline
    )


def test_an_image_is_opened_without_its_layers_which_come_when_needed(
    registry: FakeRegistry, cache: Path
) -> None:
    base = opened(registry, cache)
    assert base.digest == APP.manifest_descriptor.digest
    assert base.config["config"] == {"Env": ["A=b"]}
    assert [layer.diff_id for layer in base.layers] == [layer.diff_id for layer in APP.layers]
    assert [layer.descriptor for layer in base.layers] == [layer.descriptor for layer in APP.layers]
    assert len(registry.seen) == 2, "manifest and configuration"
    assert content(base) == content(APP)
    assert content(base) == content(APP)
    assert len(registry.seen) == 2 + len(APP.layers), "each layer once"


def test_whoever_watches_sees_the_layers_come_and_nothing_of_what_is_there(
    registry: FakeRegistry, cache: Path
) -> None:
    seen: list[tuple[str, int]] = []

    class Watching:
        def expect(self, count: int) -> None:
            seen.append(("expect", count))

        def add(self, count: int) -> None:
            seen.append(("add", count))

    name = f"{registry.host}/team/app:1"
    base = open_base(name, platform=Platform(), cache=cache, env={}, watch=Watching())
    assert seen == []
    content(base)
    whole = sum(layer.descriptor.size for layer in base.layers)
    assert [sum(count for kind, count in seen if kind == what) for what in ("expect", "add")] == [
        whole,
        whole,
    ]
    seen.clear()
    content(open_base(name, platform=Platform(), cache=cache, env={}, watch=Watching()))
    assert seen == []


def test_the_platform_is_chosen_from_an_index(registry: FakeRegistry, cache: Path) -> None:
    registry.add_index("team/app", "multi", APP, ARM)
    arm = opened(registry, cache, "team/app:multi", platform=Platform("linux", "arm64", "v8"))
    assert arm.digest == ARM.manifest_descriptor.digest
    with pytest.raises(NotFound, match="no image for `linux/s390x`; it has linux/amd64, linux/arm64"):
        opened(registry, cache, "team/app:multi", platform=Platform("linux", "s390x"))
    with pytest.raises(NotFound, match="is for `linux/amd64`, not for `linux/arm64`"):
        opened(registry, cache, platform=Platform("linux", "arm64"))


def test_a_pinned_image_in_the_cache_needs_nobody(registry: FakeRegistry, cache: Path) -> None:
    name = f"team/app@{APP.manifest_descriptor.digest}"
    assert opened(registry, cache, name).digest == APP.manifest_descriptor.digest
    asked = len(registry.seen)
    assert opened(registry, cache, name).digest == APP.manifest_descriptor.digest
    assert len(registry.seen) == asked


def test_offline_dials_nobody(registry: FakeRegistry, cache: Path) -> None:
    with pytest.raises(NotFound, match=r"not in the cache; run once without `--offline`"):
        opened(registry, cache, offline=True)
    opened(registry, cache)
    asked = len(registry.seen)
    base = opened(registry, cache, offline=True)
    with pytest.raises(NotFound, match="not in the cache"):
        content(base)
    assert len(registry.seen) == asked


def test_a_moved_tag_is_noticed(registry: FakeRegistry, cache: Path) -> None:
    opened(registry, cache)
    registry.add("team/app", "1", ARM)
    assert (
        opened(registry, cache, platform=Platform("linux", "arm64")).digest == ARM.manifest_descriptor.digest
    )


def test_a_token_is_fetched_when_asked_for(registry: FakeRegistry, cache: Path) -> None:
    registry.realm = "self"
    opened(registry, cache)
    tokens = [path for path in registry.paths() if path.startswith("/token")]
    assert tokens == ["/token?service=fake&scope=repository%3Ax%3Apull%2Cpush"]


def logged_in(folder: Path, host: str, entry: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(f'{{"auths": {{"{host}": {entry}}}}}')
    return {"DOCKER_CONFIG": str(folder)}


def test_credentials_are_used_for_the_token(registry: FakeRegistry, cache: Path, tmp_path: Path) -> None:
    registry.realm, registry.basic = "self", Credentials("me", "secret").basic
    env = logged_in(tmp_path / "docker", registry.host, '{"username": "me", "password": "secret"}')
    opened(registry, cache, env=env)
    with pytest.raises(BentoMLException, match="gave no token"):
        opened(registry, cache)


def test_a_refresh_token_is_exchanged(registry: FakeRegistry, cache: Path, tmp_path: Path) -> None:
    registry.realm, registry.basic = "self", "refresh-me"
    env = logged_in(tmp_path / "docker", registry.host, '{"identitytoken": "refresh-me"}')
    opened(registry, cache, env=env)
    assert any(method == "POST" for method, _, _ in registry.seen)


def test_basic_authentication(registry: FakeRegistry, cache: Path, tmp_path: Path) -> None:
    registry.basic = Credentials("me", "secret").basic
    with pytest.raises(NotFound, match=r"status 401.*docker login"):
        opened(registry, cache)
    env = logged_in(tmp_path / "docker", registry.host, '{"username": "me", "password": "secret"}')
    opened(registry, cache, env=env)


def test_a_token_service_in_the_clear_elsewhere_is_refused(registry: FakeRegistry, cache: Path) -> None:
    with running(FakeRegistry()) as thief:
        registry.realm = f"http://{thief.host}/token"
        with pytest.raises(BentoMLException, match="no credentials go there"):
            opened(registry, cache)
        assert thief.seen == []


def test_a_redirect_is_followed_and_authorization_stays_at_home(registry: FakeRegistry, cache: Path) -> None:
    registry.realm = "self"
    with running(FakeRegistry(blobs=registry.blobs)) as storage:
        registry.blobs_at = storage.host
        assert content(opened(registry, cache)) == content(APP)
        assert storage.seen and all("Authorization" not in headers for _, _, headers in storage.seen)
    mine = [headers for _, path, headers in registry.seen if "/blobs/" in path]
    assert any(headers.get("Authorization") == f"Bearer {TOKEN}" for headers in mine)


def test_a_redirect_to_a_place_that_asks_for_a_login_gets_none(registry: FakeRegistry, cache: Path) -> None:
    with running(FakeRegistry(blobs=registry.blobs, realm="self")) as thief:
        registry.blobs_at = thief.host
        with pytest.raises(NotFound, match="does not show"):
            content(opened(registry, cache))
        assert not any(path.startswith("/token") for path in thief.paths())


WEIGHTS = APP.layers[0].descriptor


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no-ranges"])
def test_a_broken_connection_is_taken_up_where_it_broke(
    registry: FakeRegistry, client: Registry, pauses: list[float], ranges: bool
) -> None:
    registry.ranges = ranges
    registry.cut_after = [10_000, 20_000, 0]
    assert b"".join(client.blob(WEIGHTS)) == content(APP)[0]
    asked = [headers.get("Range") for _, path, headers in registry.seen if "/blobs/" in path]
    assert len(asked) == 4 and asked[0] is None and asked[1] == "bytes=10000-"
    assert len(pauses) == 3


def test_a_connection_that_always_breaks_is_given_up(
    registry: FakeRegistry, client: Registry, pauses: list[float]
) -> None:
    registry.cut_after = [0] * 10
    with pytest.raises(ServiceUnavailable):
        list(client.blob(WEIGHTS))
    assert len(pauses) == 3 and pauses == sorted(pauses)


def test_a_busy_server_is_asked_again(registry: FakeRegistry, client: Registry, pauses: list[float]) -> None:
    registry.statuses = [503, 429]
    assert client.manifest("1")[0].digest == APP.manifest_descriptor.digest
    assert pauses == [0.3, 0.6]
    registry.statuses = [500] * 4
    with pytest.raises(ServiceUnavailable, match="answered 500"):
        client.manifest("1")


def test_a_server_says_how_long_to_wait(
    registry: FakeRegistry, client: Registry, pauses: list[float]
) -> None:
    registry.statuses, registry.retry_after = [429, 429], "7"
    client.manifest("1")
    assert pauses == [7.0, 7.0]


def test_an_unreachable_registry_says_what_else_can_be_used(cache: Path) -> None:
    with pytest.raises(BentoMLException) as raised:
        open_base("nowhere.invalid/app:1", platform=Platform(), cache=cache, env={})
    for words in ("nowhere.invalid", "cannot be reached", "debs:bookworm", "oci:FOLDER", "docker://NAME"):
        assert words in str(raised.value)


def test_an_unknown_image_is_not_found(registry: FakeRegistry, cache: Path) -> None:
    with pytest.raises(NotFound, match=r"has no `team/app:2`; check"):
        opened(registry, cache, "team/app:2")


def test_a_layer_with_another_digest_is_refused_and_not_kept(registry: FakeRegistry, cache: Path) -> None:
    victim = str(APP.layers[0].descriptor.digest)
    registry.blobs[victim] = registry.blobs[victim][:-1] + b"X"
    with pytest.raises(BentoMLException, match="is not what it should be"):
        content(opened(registry, cache))
    assert not (cache / "blobs" / "sha256" / APP.layers[0].descriptor.digest.hex).exists()


def test_a_layer_that_is_too_long_is_refused(registry: FakeRegistry, cache: Path) -> None:
    victim = str(APP.layers[0].descriptor.digest)
    registry.blobs[victim] += b"X"
    with pytest.raises(BentoMLException, match="is not what it should be"):
        content(opened(registry, cache))


def test_a_manifest_with_another_digest_is_refused(registry: FakeRegistry, cache: Path) -> None:
    pin = Digest.of(b"something else")
    registry.manifests[f"team/app/{pin}"] = registry.manifests["team/app/1"]
    with pytest.raises(BentoMLException, match="when asked for"):
        opened(registry, cache, f"team/app@{pin}")


def test_a_configuration_with_another_digest_is_refused(registry: FakeRegistry, cache: Path) -> None:
    victim = str(APP.config_descriptor.digest)
    registry.blobs[victim] = registry.blobs[victim].replace(b"A=b", b"A=c")
    with pytest.raises(BentoMLException, match="is not what it should be"):
        opened(registry, cache)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": []}, "0 layers, but 3 diff_ids"),
        ({"layers": "many"}, "no list `layers`"),
        (
            {"layers": [{"mediaType": "x", "digest": "sha256:../../etc", "size": 1}] * 3},
            "is not a descriptor",
        ),
        (
            {"layers": [{"mediaType": "x", "digest": f"sha256:{'0' * 64}", "size": -1}] * 3},
            "is not a descriptor",
        ),
        (
            {"layers": [{"mediaType": "text/html", "digest": f"sha256:{'0' * 64}", "size": 1}] * 3},
            "layers of type `text/html` are not supported",
        ),
        ({"config": None}, "is not a descriptor"),
        ({"mediaType": "application/x-strange"}, "is no image"),
    ],
    ids=["fewer", "no-list", "path-digest", "negative-size", "type", "no-config", "strange"],
)
def test_a_senseless_manifest_is_refused(
    registry: FakeRegistry, cache: Path, change: dict[str, object], message: str
) -> None:
    manifest = json.loads(APP.manifest) | change
    registry.add_document("team/app", "bad", str(manifest["mediaType"]), canonical_json(manifest))
    with pytest.raises(BentoMLException, match=message):
        opened(registry, cache, "team/app:bad")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Env", {"A": "b"}), ("Env", [1]), ("Env", ["A\0=b"]), ("Labels", {"a": 1}), ("Labels", ["a"]),
        ("ExposedPorts", {"80": 1}), ("Volumes", "/data"),
    ],
    ids=str,
)  # fmt: skip
def test_a_configuration_that_no_engine_understands_is_refused(
    registry: FakeRegistry, cache: Path, key: str, value: object
) -> None:
    config = canonical_json(json.loads(APP.config) | {"config": {key: value}})
    registry.add("team/app", "odd", Image(config, APP.layers, APP.platform))
    with pytest.raises(BentoMLException, match=f"its configuration has another `{key}`"):
        opened(registry, cache, "team/app:odd")


def test_text_that_is_none_is_refused(registry: FakeRegistry, cache: Path) -> None:
    config = APP.config.replace(b"A=b", b"A=\\ud800")
    registry.add("team/app", "odd", Image(config, APP.layers, APP.platform))
    with pytest.raises(BentoMLException, match="surrogates"):
        opened(registry, cache, "team/app:odd")


@pytest.mark.parametrize("data", [b"<html>", b"[]", b""], ids=["html", "list", "empty"])
def test_what_is_not_even_json_is_refused(registry: FakeRegistry, cache: Path, data: bytes) -> None:
    registry.add_document("team/app", "bad", MediaType.MANIFEST, data)
    with pytest.raises(BentoMLException, match=r"not JSON|not a JSON object"):
        opened(registry, cache, "team/app:bad")


def test_a_docker_manifest_is_read_and_its_layers_become_oci(registry: FakeRegistry, cache: Path) -> None:
    text = APP.manifest.decode()
    for ours, theirs in (
        (MediaType.LAYER_GZIP, MediaType.DOCKER_LAYER),
        (MediaType.CONFIG, MediaType.DOCKER_CONFIG),
        (MediaType.MANIFEST, MediaType.DOCKER_MANIFEST),
    ):
        text = text.replace(ours, theirs)
    registry.add_document("team/app", "docker", MediaType.DOCKER_MANIFEST, text.encode())
    base = opened(registry, cache, "team/app:docker")
    assert [layer.descriptor for layer in base.layers] == [layer.descriptor for layer in APP.layers]
