"""The engine is sent what it lacks and nothing else, and must know the image by our id: fake and real engines."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.builder.backends.fake_engine import FakeEngine, running
from tests.builder.oci.images import content, small_image

from bentoml.builder.backends.engine import EngineSink
from bentoml.builder.oci.bases.engine import connected
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.model import Image, Platform
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.process import run
from bentoml.store.digest import canonical_json

IMAGE = small_image("one")
ID = str(IMAGE.config_descriptor.digest)
BLOBS = [f"blobs/sha256/{layer.descriptor.digest.hex}" for layer in IMAGE.layers]


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with running(FakeEngine()) as fake:
        yield fake


def sink(engine: FakeEngine) -> EngineSink:
    return EngineSink({"DOCKER_HOST": engine.host})


def test_an_image_is_loaded_and_named(engine: FakeEngine) -> None:
    assert ID in sink(engine).write(IMAGE, ["app:1", "reg.example/team/app:2"])
    assert len(engine.loads) == 1 and set(BLOBS) <= set(engine.loads[0])
    assert engine.tags == {"docker.io/library/app:1": ID, "reg.example/team/app:2": ID}


def test_an_image_that_is_there_is_only_named(engine: FakeEngine) -> None:
    engine.images[ID] = []
    sink(engine).write(IMAGE, ["app:1"])
    assert engine.loads == [] and engine.tags == {"docker.io/library/app:1": ID}


def test_layers_that_are_there_are_not_sent(engine: FakeEngine) -> None:
    engine.images["sha256:other"] = [str(IMAGE.layers[0].diff_id), "sha256:more"]
    sink(engine).write(IMAGE, ["app:1"])
    assert BLOBS[0] not in engine.loads[0] and BLOBS[1] in engine.loads[0]


def test_an_engine_that_wants_everything_gets_everything(engine: FakeEngine) -> None:
    engine.images["sha256:other"] = [str(IMAGE.layers[0].diff_id)]
    engine.needs_every_blob = True
    sink(engine).write(IMAGE, ["app:1"])
    assert len(engine.loads) == 2 and set(BLOBS) <= set(engine.loads[1])


def test_the_containerd_store_gets_everything_at_once(engine: FakeEngine) -> None:
    engine.images["sha256:other"] = [str(IMAGE.layers[0].diff_id)]
    engine.containerd = True
    sink(engine).write(IMAGE, ["app:1"])
    assert len(engine.loads) == 1 and set(BLOBS) <= set(engine.loads[0])


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


@pytest.mark.engine
def test_a_real_engine_knows_the_image_by_our_id(name: str) -> None:
    image = unique("one", name)
    EngineSink(os.environ).write(image, [f"{name}:1"])
    with connected(os.environ) as client:
        found = client.images.get(f"{name}:1")
        assert found.id == str(image.config_descriptor.digest)
        assert found.attrs["RootFS"]["Layers"] == [str(layer.diff_id) for layer in image.layers]
    EngineSink(os.environ).write(image, [f"{name}:1", f"{name}:2"])
    with connected(os.environ) as client:
        assert client.images.get(f"{name}:2").id == str(image.config_descriptor.digest)


@pytest.mark.engine
def test_a_real_engine_takes_an_image_without_the_layers_that_it_has(name: str) -> None:
    EngineSink(os.environ).write(unique("one", name), [f"{name}:1"])
    changed = unique("two", name)
    unread = tuple(replace(layer, blob=NeverRead()) for layer in changed.layers[:-1])
    EngineSink(os.environ).write(replace(changed, layers=(*unread, changed.layers[-1])), [f"{name}:1"])
    with connected(os.environ) as client:
        assert client.images.get(f"{name}:1").id == str(changed.config_descriptor.digest)


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
