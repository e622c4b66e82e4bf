"""The engine is sent what it lacks and nothing else, and must know the image by our id: fake and real engines."""

from __future__ import annotations

import os
import re
import socket
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.builder.backends.fake_engine import FakeEngine, running
from tests.builder.oci.images import content, small_image, zstd_image

from bentoml.builder.backends.engine import EngineSink, _is_near
from bentoml.builder.backends.loopback import serving
from bentoml.builder.daemon.sdk import connected
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.model import Image, Platform
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.process import run
from bentoml.store.digest import canonical_json

IMAGE = small_image("one")
ID = str(IMAGE.config_descriptor.digest)
BLOBS = [f"blobs/sha256/{layer.descriptor.digest.hex}" for layer in IMAGE.layers]


@pytest.fixture(params=["at its socket", "over TCP"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeEngine]:
    with running(FakeEngine(), tmp_path / "s" if request.param == "at its socket" else None) as fake:
        yield fake


def sink(engine: FakeEngine) -> EngineSink:
    return EngineSink({"DOCKER_HOST": engine.host})


def test_an_image_is_loaded_and_named(engine: FakeEngine) -> None:
    assert ID in sink(engine).write(IMAGE, ["app:1", "reg.example/team/app:2"])
    assert len(engine.loads) == 1 and set(BLOBS) <= set(engine.loads[0])
    assert engine.tags == {"app:1": ID, "reg.example/team/app:2": ID}
    assert not any(path.endswith("/tag") for path in engine.asked), "the archive brought the names"


def test_an_image_that_is_there_is_only_named(engine: FakeEngine) -> None:
    engine.images[ID] = []
    sink(engine).write(IMAGE, ["app:1"])
    assert engine.loads == [] and engine.tags == {"app:1": ID}


def test_layers_that_are_there_are_not_sent(engine: FakeEngine) -> None:
    engine.images["sha256:other"] = [str(IMAGE.layers[0].diff_id), "sha256:more"]
    sink(engine).write(IMAGE, ["app:1"])
    assert BLOBS[0] not in engine.loads[0] and BLOBS[1] in engine.loads[0]


@pytest.mark.parametrize("containerd", [False, True])
def test_zstd_is_sent_to_those_alone_who_keep_blobs_as_they_are(engine: FakeEngine, containerd: bool) -> None:
    """An engine before Docker 23 does not read it; one that knows an image by its manifest must get that one."""
    image = zstd_image()
    engine.containerd, engine.reaches_us = containerd, False
    sink(engine).write(image, ["app:1"])
    lowest = image.layers[0].descriptor.digest if containerd else image.layers[0].diff_id
    assert f"blobs/sha256/{lowest.hex}" in engine.loads[-1]


def test_an_engine_that_wants_everything_pulls_it(engine: FakeEngine) -> None:
    engine.images["sha256:other"] = [str(IMAGE.layers[0].diff_id)]
    engine.needs_every_blob = True
    sink(engine).write(IMAGE, ["app:1"])
    assert len(engine.loads) == 1 and len(engine.pulls) == len(IMAGE.layers) + 1


def test_one_that_cannot_reach_us_gets_everything(engine: FakeEngine) -> None:
    engine.images["sha256:other"] = [str(IMAGE.layers[0].diff_id)]
    engine.needs_every_blob, engine.reaches_us = True, False
    sink(engine).write(IMAGE, ["app:1"])
    assert len(engine.loads) == 2 and set(BLOBS) <= set(engine.loads[1])


def test_the_containerd_store_pulls_the_blobs_that_it_lacks(engine: FakeEngine) -> None:
    engine.containerd = True
    known = IMAGE.layers[0]
    engine.blobs[str(known.descriptor.digest)] = b"".join(known.blob.chunks())
    sink(engine).write(IMAGE, ["app:1"])
    assert engine.loads == []
    assert set(engine.pulls) == {
        str(what.digest)
        for what in (IMAGE.config_descriptor, *(layer.descriptor for layer in IMAGE.layers[1:]))
    }
    assert engine.tags == {"app:1": str(IMAGE.manifest_descriptor.digest)}
    (lent,) = engine.removed
    assert re.fullmatch(r"127\.0\.0\.1:[0-9]+/bentoml/[0-9a-f]{32}:image", lent)


def test_a_layer_that_cannot_be_read_ends_the_pull_with_its_own_error(engine: FakeEngine) -> None:
    engine.containerd = True
    broken = IMAGE._replace(layers=(IMAGE.layers[0]._replace(blob=Unreadable()), *IMAGE.layers[1:]))
    with pytest.raises(BentoMLException, match="the file is gone"):
        sink(engine).write(broken, ["app:1"])
    assert engine.tags == {} and engine.loads == []


@dataclass(frozen=True)
class Unreadable:
    def chunks(self) -> Iterator[bytes]:
        yield b"be"
        raise BentoMLException("the file is gone")


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("unix:///run/x.sock", True),
        ("npipe:////./pipe/docker_engine", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://engine.example:2375", False),
        ("ssh://me@localhost", False),
    ],
)
def test_an_engine_elsewhere_pulls_nothing_from_our_loopback(host: str, near: bool) -> None:
    assert _is_near(host) is near


def test_the_last_image_of_a_name_tells_all_that_is_to_be_known(engine: FakeEngine) -> None:
    """A changed line is the common case: neither all images are listed, nor is the engine asked how it stores them."""
    before = [str(layer.diff_id) for layer in IMAGE.layers[:-1]]
    engine.images["sha256:before"], engine.tags["app:1"] = [*before, "sha256:old"], "sha256:before"
    engine.tells_chains = True
    sink(engine).write(IMAGE, ["app:1"])
    assert BLOBS[-1] in engine.loads[0] and not set(BLOBS[:-1]) & set(engine.loads[0])
    assert not {"/info", "/images/json"} & set(engine.asked)


def test_nobody_else_gets_the_image() -> None:
    with serving(IMAGE, lambda count: None) as place:
        root = f"http://127.0.0.1:{place.port}/v2"
        for path in (
            "bentoml/0/manifests/image",
            f"blobs/{IMAGE.config_descriptor.digest}",
            f"{place.repository}/manifests/other",
            f"{place.repository}/manifests/{IMAGE.config_descriptor.digest}",
            f"{place.repository}/blobs/../../../etc/passwd",
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{root}/{path}")
            assert refused.value.code == 404
            refused.value.close()
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            asked = urllib.request.Request(f"{root}/{place.repository}/blobs/uploads/", method=method)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(asked)
            assert refused.value.code == 501
            refused.value.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{root}/")


def test_who_tries_tls_is_answered_in_http() -> None:
    """Docker's containerd store tries TLS first, and goes on in HTTP where the answer begins with `HTTP/` alone."""
    hello = b"\x16\x03\x01\x00\xf1\x01\x00\x00\xed\x03\x03" + bytes(16)  # no line of text, nor its end
    with serving(IMAGE, lambda count: None) as place:
        with socket.create_connection(("127.0.0.1", place.port), timeout=60) as client:
            client.sendall(hello)
            assert client.recv(64).startswith(b"HTTP/1.1 400 ")
        with socket.create_connection(("127.0.0.1", place.port), timeout=60):
            pass  # and one that says nothing disturbs nobody
        with urllib.request.urlopen(f"http://127.0.0.1:{place.port}/v2/") as answer:
            assert answer.status == 200


def test_another_id_than_ours_is_an_error(engine: FakeEngine) -> None:
    engine.forgets = True
    with pytest.raises(BentoMLException, match=f"does not know it as `{ID}`"):
        sink(engine).write(IMAGE, ["app:1"])
    assert engine.tags == {}


# Real engines


@dataclass(frozen=True)
class NeverRead:
    def chunks(self) -> Iterator[bytes]:
        raise AssertionError("a layer that the engine has was read")


@pytest.fixture
def name() -> Iterator[str]:
    """A name for an image of this test, which is removed afterwards with its tags `:1` and `:2`."""
    name = f"bentoml-test-{uuid.uuid4().hex[:8]}"
    yield name
    from docker.errors import ImageNotFound

    with connected(os.environ) as client:
        for tag in ("1", "2"):
            with suppress(ImageNotFound):
                client.images.remove(f"{name}:{tag}", force=True)


def unique(text: str, name: str) -> Image:
    return small_image(f"{name} base", f"{name} {text}")


def ids_of(image: Image) -> set[str]:
    """Return what an engine may know an image by: its configuration, or its manifest where containerd stores it."""
    return {str(image.config_descriptor.digest), str(image.manifest_descriptor.digest)}


@pytest.mark.engine
def test_a_real_engine_knows_the_image_by_our_id(name: str) -> None:
    image = unique("one", name)
    EngineSink(os.environ).write(image, [f"{name}:1"])
    with connected(os.environ) as client:
        found = client.images.get(f"{name}:1")
        assert found.id in ids_of(image)
        assert found.attrs["RootFS"]["Layers"] == [str(layer.diff_id) for layer in image.layers]
    EngineSink(os.environ).write(image, [f"{name}:1", f"{name}:2"])
    with connected(os.environ) as client:
        assert client.images.get(f"{name}:2").id == found.id


@pytest.mark.engine
def test_a_real_engine_takes_an_image_without_the_layers_that_it_has(name: str) -> None:
    EngineSink(os.environ).write(unique("one", name), [f"{name}:1"])
    changed = unique("two", name)
    unread = tuple(layer._replace(blob=NeverRead()) for layer in changed.layers[:-1])
    EngineSink(os.environ).write(changed._replace(layers=(*unread, changed.layers[-1])), [f"{name}:1"])
    with connected(os.environ) as client:
        assert client.images.get(f"{name}:1").id in ids_of(changed)


@pytest.mark.engine
def test_a_real_engine_pulls_the_same_image_from_loopback(name: str) -> None:
    image = unique("one", name)
    EngineSink(os.environ, ways=("pull",)).write(image, [f"{name}:1"])
    with connected(os.environ) as client:
        found = client.images.get(f"{name}:1")
        assert found.id in ids_of(image)
        assert found.tags == [f"{name}:1"] and "127.0.0.1" not in str(found.attrs["RepoDigests"])


@pytest.mark.engine
def test_an_image_of_a_real_engine_is_a_base_and_is_exported_once(name: str, tmp_path: Path) -> None:
    image = unique("one", name)
    EngineSink(os.environ).write(image, [f"{name}:1"])
    reference = f"docker://{name}:1"
    base = open_base(reference, platform=Platform(), cache=tmp_path, env=os.environ)
    assert [layer.diff_id for layer in base.layers] == [layer.diff_id for layer in image.layers]
    assert [b"".join(decompressed(layer.blob.chunks())) for layer in base.layers] == [
        b"".join(decompressed([data])) for data in content(image)
    ]
    assert open_base(reference, platform=Platform(), cache=tmp_path, env=os.environ) == base
    with pytest.raises(NotFound, match="not for `linux/arm64`"):
        open_base(reference, platform=Platform("linux", "arm64"), cache=tmp_path, env=os.environ)
    with pytest.raises(NotFound, match="the engine has no image"):
        open_base(f"docker://{name}:none", platform=Platform(), cache=tmp_path, env=os.environ)


PROBE = """
import bz2, ctypes, curses, dbm, getpass, lzma, readline, socket, sqlite3, ssl, uuid, zlib, zoneinfo
print(getpass.getuser(), ssl.create_default_context().cert_store_stats()["x509_ca"] > 100)
print(zoneinfo.ZoneInfo("Europe/Paris"), socket.getservbyname("https"))
ctypes.CDLL("libstdc++.so.6"), ctypes.CDLL("libgomp.so.1")
"""


@pytest.mark.engine
@pytest.mark.slow
def test_a_base_of_debian_packages_runs(name: str, tmp_path: Path) -> None:
    base = open_base("debs:bookworm", platform=Platform(), cache=tmp_path, env=os.environ)
    image = Image(canonical_json(base.config), base.layers, base.platform)
    EngineSink(os.environ).write(image, [f"{name}:1"])
    docker = ["docker", "run", "--rm", "--network", "none", f"{name}:1"]
    assert run([*docker, "python3", "-c", PROBE], env=os.environ) == "root True\nEurope/Paris 443\n"
    assert run([*docker, "/bin/sh", "-c", "echo $LANG"], env=os.environ) == "C.UTF-8\n"
