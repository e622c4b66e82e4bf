"""Images into registries: only what is missing is sent, a name comes last, and faults end well or with a clear error."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.builder.oci.images import Pieces, content, noise, small_image, small_layer
from tests.registry.fake_registry import FakeRegistry, running
from tests.registry.real import real_registry

from bentoml.builder.backends.registry import RegistrySink, check_place
from bentoml.builder.daemon.sdk import connected
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.codec import layer_of, stored_codec
from bentoml.builder.oci.model import Image, ImageIndex, Platform, Referrer
from bentoml.exceptions import BentoMLException, InvalidArgument, ServiceUnavailable
from bentoml.process import run
from bentoml.registry.memory import Memory
from bentoml.registry.transport import Transport
from bentoml.store.archives.tar import Tar, TarEntry
from bentoml.store.digest import canonical_json

IMAGE = small_image("one")
SPDX = "application/spdx+json"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running(FakeRegistry()) as fake:
        yield fake


@pytest.fixture
def sink(tmp_path: Path) -> RegistrySink:
    """A sink that does not really wait."""
    return RegistrySink(
        {}, Memory(tmp_path / "memory"), transport=partial(Transport, pause=lambda seconds: None)
    )


def digests(image: Image) -> set[str]:
    return {str(layer.descriptor.digest) for layer in image.layers} | {str(image.config_descriptor.digest)}


def tags(registry: FakeRegistry) -> set[str]:
    return {name for name in registry.manifests if "sha256:" not in name}


def large_image() -> Image:
    """Return an image with a layer that is worth being taken up."""
    weights = layer_of(Tar.of([TarEntry.file("weights", noise(9 << 20))]), stored_codec(), "model")
    return with_layers(IMAGE, weights, *IMAGE.layers[1:])


def with_layers(image: Image, *layers: object) -> Image:
    config = json.loads(image.config)
    config["rootfs"]["diff_ids"] = [str(layer.diff_id) for layer in layers]  # type: ignore[attr-defined]
    return Image(canonical_json(config), layers, image.platform)  # type: ignore[arg-type]


def test_an_image_is_pushed_and_is_a_base_again(
    registry: FakeRegistry, sink: RegistrySink, tmp_path: Path
) -> None:
    name = f"{registry.host}/team/app:1"
    said = sink.write(IMAGE, [name, f"{registry.host}/team/app:latest"])
    assert said == f"pushed to {registry.host}/team/app as {IMAGE.root.digest}"
    assert tags(registry) == {"team/app/1", "team/app/latest"}
    base = open_base(name, platform=Platform(), cache=tmp_path / "cache", env={})
    assert base.digest == IMAGE.root.digest
    assert [b"".join(layer.blob.chunks()) for layer in base.layers] == content(IMAGE)


def test_a_second_push_sends_nothing(registry: FakeRegistry, sink: RegistrySink) -> None:
    sink.write(IMAGE, [f"{registry.host}/team/app:1"])
    before = registry.received
    del registry.seen[:]
    unread = tuple(layer._replace(blob=Pieces(())) for layer in IMAGE.layers)
    sink.write(IMAGE._replace(layers=unread), [f"{registry.host}/team/app:2"])
    assert registry.received == before
    assert [method for method, _, _ in registry.seen] == ["GET", "PUT"]


def test_what_another_image_has_is_not_sent_again(registry: FakeRegistry, sink: RegistrySink) -> None:
    sink.write(IMAGE, [f"{registry.host}/team/app:1"])
    before = registry.received
    other = with_layers(IMAGE, *IMAGE.layers[:-1], small_layer("two"))
    sink.write(other, [f"{registry.host}/team/app:2"])
    assert registry.received - before < 2_000


def test_blobs_are_mounted_from_the_repository_that_has_them(
    registry: FakeRegistry, sink: RegistrySink
) -> None:
    sink.write(IMAGE, [f"{registry.host}/team/app:1"])
    before = registry.received
    sink.write(IMAGE, [f"{registry.host}/other/app:1"])
    assert registry.received - before == IMAGE.config_descriptor.size
    assert digests(IMAGE) <= registry.places["other/app"]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_may_not_be_mounted_is_sent(registry: FakeRegistry, sink: RegistrySink, status: int) -> None:
    sink.write(IMAGE, [f"{registry.host}/team/app:1"])
    registry.mount_status = status
    sink.write(IMAGE, [f"{registry.host}/other/app:1"])
    assert digests(IMAGE) <= registry.places["other/app"]
    assert tags(registry) == {"team/app/1", "other/app/1"}


def test_a_repository_that_is_closed_now_costs_no_login(registry: FakeRegistry, sink: RegistrySink) -> None:
    sink.write(IMAGE, [f"{registry.host}/team/app:1"])
    registry.realm, registry.denied = "self", "repository:team/app"
    registry.places["team/app"] = set()
    sink.write(IMAGE, [f"{registry.host}/other/app:1"])
    assert "other/app/1" in tags(registry)


def test_two_names_in_one_registry_send_it_once(registry: FakeRegistry, sink: RegistrySink) -> None:
    sink.write(IMAGE, [f"{registry.host}/one/app:1", f"{registry.host}/two/app:1"])
    layers = sum(layer.descriptor.size for layer in IMAGE.layers)
    assert registry.received == layers + 2 * IMAGE.config_descriptor.size
    assert tags(registry) == {"one/app/1", "two/app/1"}


def test_a_base_is_mounted_from_its_repository_and_never_fetched(
    registry: FakeRegistry, sink: RegistrySink, tmp_path: Path
) -> None:
    below = small_image("base")
    registry.add("library/python", "3", below)
    registry.places["library/python"] = digests(below)
    base = open_base(
        f"{registry.host}/library/python:3", platform=Platform(), cache=tmp_path / "cache", env={}
    )
    sink.note_origins(base.layers)
    image = with_layers(below, *base.layers, small_layer("mine"))
    del registry.seen[:]
    sink.write(image, [f"{registry.host}/team/app:1"])
    assert {str(layer.descriptor.digest) for layer in base.layers} <= registry.places["team/app"]
    fetched = [path for method, path, _ in registry.seen if method == "GET" and "/blobs/" in path]
    assert fetched == []


@pytest.mark.parametrize("realm", ["self", None], ids=["token", "password"])
def test_a_login_is_that_of_docker(
    registry: FakeRegistry, sink: RegistrySink, tmp_path: Path, realm: str | None
) -> None:
    registry.realm, registry.basic = realm, "Basic " + b64encode(b"me:secret").decode()
    name = f"{registry.host}/team/app:1"
    with pytest.raises(BentoMLException, match=r"docker login"):
        sink.write(IMAGE, [name])
    auths = {"auths": {registry.host: {"auth": b64encode(b"me:secret").decode()}}}
    (tmp_path / "config.json").write_text(json.dumps(auths))
    sink._replace(env={"DOCKER_CONFIG": str(tmp_path)}).write(IMAGE, [name])
    assert tags(registry) == {"team/app/1"}


def test_one_name_in_two_registries(registry: FakeRegistry, sink: RegistrySink) -> None:
    with running(FakeRegistry()) as second:
        sink.write(IMAGE, [f"{registry.host}/a/b:1", f"{second.host}/c/d:2"])
        assert (tags(registry), tags(second)) == ({"a/b/1"}, {"c/d/2"})


def test_images_of_several_platforms(registry: FakeRegistry, sink: RegistrySink, tmp_path: Path) -> None:
    index = ImageIndex((IMAGE, small_image("arm", architecture="arm64")))
    sink.write(index, [f"{registry.host}/team/app:1"])
    for image in index.images:
        base = open_base(
            f"{registry.host}/team/app:1", platform=image.platform, cache=tmp_path / "cache", env={}
        )
        assert base.digest == image.root.digest
    before = registry.received
    sink.write(index, [f"{registry.host}/team/app:2"])
    assert registry.received == before
    assert tags(registry) == {"team/app/1", "team/app/2"}


def referrer(text: str = "{}") -> Referrer:
    return Referrer(IMAGE.root, SPDX, text.encode())


def test_a_document_about_an_image_is_listed_by_the_registry(
    registry: FakeRegistry, sink: RegistrySink
) -> None:
    registry.lists_referrers = True
    sink.write(IMAGE, [f"{registry.host}/team/app:1"], [referrer()])
    stored = json.loads(registry.manifests[f"team/app/{referrer().root.digest}"][1])
    assert stored["subject"]["digest"] == str(IMAGE.root.digest)
    assert stored["artifactType"] == SPDX
    assert tags(registry) == {"team/app/1"}


def test_or_under_the_tag_that_stands_for_such_a_list(registry: FakeRegistry, sink: RegistrySink) -> None:
    for text in ("{}", "{}", '{"other": 1}'):
        sink.write(IMAGE, [f"{registry.host}/team/app:1"], [referrer(text)])
    fallback = f"team/app/sha256-{IMAGE.root.digest.hex}"
    assert tags(registry) == {"team/app/1", fallback}
    listed = json.loads(registry.manifests[fallback][1])["manifests"]
    assert [entry["digest"] for entry in listed] == [
        str(referrer(text).root.digest) for text in ("{}", '{"other": 1}')
    ]
    assert {entry["artifactType"] for entry in listed} == {SPDX}


def test_what_is_no_list_stays_as_it_is(
    registry: FakeRegistry, sink: RegistrySink, caplog: pytest.LogCaptureFixture
) -> None:
    fallback = f"sha256-{IMAGE.root.digest.hex}"
    registry.add_document("team/app", fallback, "text/plain", b"mine")
    sink.write(IMAGE, [f"{registry.host}/team/app:1"], [referrer()])
    assert registry.manifests[f"team/app/{fallback}"][1] == b"mine"
    assert "is no list of referrers" in caplog.text


# Faults


@pytest.mark.parametrize("status", [401, 403])
def test_who_may_not_write_is_told_to_log_in(registry: FakeRegistry, sink: RegistrySink, status: int) -> None:
    registry.statuses = [status] * 40
    with pytest.raises(BentoMLException, match=rf"does not let us write .*\(status {status}\).*docker login"):
        sink.write(IMAGE, [f"{registry.host}/team/app:1"])
    assert registry.manifests == {}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_waited_for(registry: FakeRegistry, sink: RegistrySink, status: int) -> None:
    registry.statuses = [0, status, 0, status, 0, 0, status]
    sink.write(IMAGE, [f"{registry.host}/team/app:1"])
    assert tags(registry) == {"team/app/1"}


@pytest.mark.parametrize("status", [429, 500, 507])
def test_what_does_not_pass_is_an_error_and_no_name(
    registry: FakeRegistry, sink: RegistrySink, status: int
) -> None:
    registry.statuses = [0, 0, 0, *[status] * 60]
    with pytest.raises(ServiceUnavailable, match=str(status)):
        sink.write(IMAGE, [f"{registry.host}/team/app:1"])
    assert registry.manifests == {}


@pytest.mark.parametrize("cuts", [[0], [5_000_000, 1_000_000]])
def test_a_cut_connection_goes_on_where_it_was_cut(
    registry: FakeRegistry, sink: RegistrySink, cuts: list[int]
) -> None:
    image = large_image()
    registry.break_after = cuts[:]
    sink.write(image, [f"{registry.host}/team/app:1"])
    assert registry.blobs[str(image.layers[0].descriptor.digest)] == content(image)[0]
    assert tags(registry) == {"team/app/1"}


def test_one_that_is_always_cut_leaves_no_name_and_the_next_run_takes_it_up(
    registry: FakeRegistry, sink: RegistrySink
) -> None:
    image = large_image()
    registry.break_after = [5_000_000, *[0] * 40]
    with pytest.raises(ServiceUnavailable, match="broke"):
        sink.write(image, [f"{registry.host}/team/app:1"])
    assert registry.manifests == {}
    registry.break_after = []
    sink.write(image, [f"{registry.host}/team/app:1"])
    assert registry.blobs[str(image.layers[0].descriptor.digest)] == content(image)[0]


def test_a_layer_that_is_not_what_it_was_is_never_part_of_an_image(
    registry: FakeRegistry, sink: RegistrySink
) -> None:
    good = IMAGE.layers[0]
    for bad in (
        bytes(good.descriptor.size),
        bytes(good.descriptor.size - 1),
    ):
        broken = IMAGE._replace(layers=(good._replace(blob=Pieces((bad,))), *IMAGE.layers[1:]))
        with pytest.raises(BentoMLException, match=r"not what you said|has become shorter"):
            sink.write(broken, [f"{registry.host}/team/app:1"])
        assert tags(registry) == set()


def test_a_registry_that_stores_something_else_is_not_believed(
    registry: FakeRegistry, sink: RegistrySink
) -> None:
    registry.said_digest = f"sha256:{'0' * 64}"
    with pytest.raises(BentoMLException, match="sha256:000"):
        sink.write(IMAGE, [f"{registry.host}/team/app:1"])
    assert tags(registry) == set()


@pytest.mark.parametrize("status", [200, 202])
def test_one_that_takes_everything_and_has_nothing_is_not_believed(
    registry: FakeRegistry, sink: RegistrySink, status: int
) -> None:
    registry.drops_manifests = status
    with pytest.raises(BentoMLException, match=r"took `team/app:1`, but does not have it"):
        sink.write(IMAGE, [f"{registry.host}/team/app:1"])


def test_one_that_is_not_there(sink: RegistrySink) -> None:
    with pytest.raises(ServiceUnavailable, match=r"`127\.0\.0\.1:9` cannot be reached"):
        sink.write(IMAGE, ["127.0.0.1:9/team/app:1"])


@pytest.mark.parametrize("name", ["app:1", "docker.io/app", "library/app:1"])
def test_a_name_without_a_registry(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"which registry to push to.*-t localhost:5000/"):
        check_place(name)


# Real registries


@pytest.mark.engine
def test_skopeo_finds_in_a_real_registry_what_was_pushed(sink: RegistrySink, tmp_path: Path) -> None:
    index = ImageIndex((IMAGE, small_image("arm", architecture="arm64")))
    with real_registry(tmp_path) as host:
        sink.write(IMAGE, [f"{host}/team/app:1"], [referrer()])
        sink.write(index, [f"{host}/team/app:all"])
        sink.write(IMAGE, [f"{host}/other/app:1"], [referrer()])
        log = (tmp_path / "registry.log").read_text()
        for place in ("team/app", "other/app"):
            reference = f"docker://{host}/{place}:1"
            seen = json.loads(run(["skopeo", "inspect", "--tls-verify=false", reference]))
            assert seen["Digest"] == str(IMAGE.root.digest)
        raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{host}/team/app:all"])
        assert raw.encode() == index.document
        fallback = f"docker://{host}/team/app:sha256-{IMAGE.root.digest.hex}"
        listed = json.loads(run(["skopeo", "inspect", "--raw", "--tls-verify=false", fallback]))
        assert listed["manifests"][0]["artifactType"] == SPDX
        run(["skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", "--all", f"docker://{host}/team/app:all", f"oci:{tmp_path}/copy:all"])  # fmt: skip
        assert "mount=" in log


@pytest.mark.engine
def test_what_docker_pulls_has_the_id_that_we_say(sink: RegistrySink, tmp_path: Path) -> None:
    unique = small_image(str(tmp_path))
    with real_registry(tmp_path) as host, connected(os.environ) as client:
        name = f"{host}/team/app"
        sink.write(unique, [f"{name}:1"])
        pulled = client.images.pull(name, tag="1")
        try:
            # where containerd stores images, an engine knows them by their manifest
            assert pulled.id in (str(unique.config_descriptor.digest), str(unique.root.digest))
            assert pulled.attrs["RepoDigests"] == [f"{name}@{unique.root.digest}"]
            assert pulled.attrs["RootFS"]["Layers"] == [str(layer.diff_id) for layer in unique.layers]
        finally:
            client.images.remove(f"{name}:1")
