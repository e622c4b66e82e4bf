"""From a bento to an image, with real parts: a store, uv, a base in a folder, an image in another."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.builder.handmade import base, layer, offline, save_bento, save_model, wheel

from bentoml.builder.image.containerize import ImageResult, containerize
from bentoml.builder.oci.assemble import RunConfig, assemble
from bentoml.builder.oci.blobs import FileBlob
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.layout import write_layout
from bentoml.builder.oci.model import ImageIndex, Platform
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound
from bentoml.store.archives.tar import TarEntry
from bentoml.store.bentos import Bento
from bentoml.store.digest import Digest
from bentoml.store.manifest import BentoInfo
from bentoml.store.models import ModelStore
from bentoml.store.trust import Trust


class Bench:
    """A store, a folder of wheels and a base; `make` makes an image of a bento and reads it."""

    def __init__(self, root: Path, **python: Any) -> None:
        self.root, self.home, self.wheels = root, Home(root / "home"), root / "wheels"
        below = base(**python)
        write_layout(
            root / "base",
            assemble(below, [], RunConfig("0", "/", ("python3",), labels={"maker": "x"}), epoch=0),
            ["base:1"],
        )

    def make(self, bento: Bento, *, env: dict[str, str] | None = None, **wishes: Any) -> ImageResult:
        return containerize(
            bento,
            home=self.home,
            env={**offline(self.wheels), **(env or {})},
            base=f"oci:{self.root / 'base'}",
            output=f"type=oci,dest={self.root / 'image'}",
            **wishes,
        )

    def config(self, result: ImageResult) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.root / "image/blobs/sha256" / result.id.hex).read_bytes())
        return loaded

    def files(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield layer, path and content of each file in the image."""
        index = json.loads((self.root / "image/index.json").read_bytes())
        for descriptor in json.loads(self.blob(index["manifests"][0]).read_bytes())["layers"]:
            path = self.blob(descriptor)
            with tarfile.open(path, "r:gz") as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isreg() else None
                    yield descriptor["digest"], member.name, file.read() if file else b""

    def link(self, path: str) -> str:
        """Return what a symbolic link of the image points to."""
        found = ""
        index = json.loads((self.root / "image/index.json").read_bytes())
        for descriptor in json.loads(self.blob(index["manifests"][0]).read_bytes())["layers"]:
            with tarfile.open(self.blob(descriptor), "r:gz") as archive:
                found = next((member.linkname for member in archive if member.name == path), found)
        return found

    def extract(self, folder: Path) -> None:
        """Lay the image out as a container sees it."""
        index = json.loads((self.root / "image/index.json").read_bytes())
        for descriptor in json.loads(self.blob(index["manifests"][0]).read_bytes())["layers"]:
            with tarfile.open(self.blob(descriptor), "r:gz") as archive:
                archive.extractall(folder, filter="tar")

    def blob(self, descriptor: dict[str, str]) -> Path:
        return self.root / "image/blobs" / descriptor["digest"].replace(":", "/")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_whole_image(bench: Bench) -> None:
    model = save_model(bench.home)
    bento = save_bento(bench.home, bench.wheels, models=(model,))
    result = bench.make(bento, names=["greeter:1", "greeter:latest"])
    assert (result.tag, result.names) == (bento.tag, ("greeter:1", "greeter:latest"))
    assert [layer.kind for layer in result.layers] == [
        *("base", "base", "model", "user", "python", "python", "source", "source"),
    ]
    assert result.layers[2].about == f"model {model.tag}"
    config = bench.config(result)
    run = config["config"]
    assert run["User"] == "1034:1034"
    assert "PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin" in run["Env"]
    assert run["Labels"]["bentoml.tag"] == str(bento.tag)
    assert re.fullmatch("sha256:[0-9a-f]{64}", run["Labels"]["org.opencontainers.image.base.digest"])
    assert len(config["rootfs"]["diff_ids"]) == 8
    paths = {path for _, path, _ in bench.files()}
    assert {
        f"home/bentoml/models/{model.tag.path()}/words.txt", "home/bentoml/bento/src/service.py", "app/.venv/bin/bentoml",
        "app/.venv/bin/count", "etc/passwd",
    } < paths  # fmt: skip


def test_a_second_time_nothing_is_new(bench: Bench) -> None:
    bento = save_bento(bench.home, bench.wheels, models=(save_model(bench.home),))
    first, second = bench.make(bento), bench.make(bento)
    assert first.id == second.id
    assert all(layer.is_new for layer in first.layers)
    assert not any(layer.is_new for layer in second.layers)


def test_a_damaged_cache_is_noticed_and_made_anew(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bento = save_bento(bench.home, bench.wheels, models=(save_model(bench.home),))
    first = bench.make(bento)
    blobs = list((bench.home.cache / "oci/blobs/sha256").iterdir())
    for blob in blobs:
        blob.write_bytes(blob.read_bytes()[:-9] + b"corrupted")
    shutil.rmtree(bench.root / "image")
    assert blobs and bench.make(bento).id == first.id
    assert "making it anew" in caplog.text
    for path, *_ in (one for one in bench.files()):
        assert path


def test_a_bento_that_is_deleted_before_is_said_to_be(bench: Bench) -> None:
    bento = save_bento(bench.home, bench.wheels)
    shutil.rmtree(bento.path)
    with pytest.raises(NotFound, match=f"^bento `{bento.tag}` was deleted while it was read$"):
        bench.make(bento)


@pytest.mark.parametrize("moment", ["Opening the base", "Packing the models", "Installing the packages"])
@pytest.mark.parametrize("which", ["bento", "model"])
def test_what_is_deleted_meanwhile_is_said_to_be(bench: Bench, which: str, moment: str) -> None:
    model = save_model(bench.home)
    bento = save_bento(bench.home, bench.wheels, models=(model,))
    deleted = bento if which == "bento" else model

    @contextmanager
    def step(words: str) -> Iterator[None]:
        if words.startswith(moment):
            shutil.rmtree(deleted.path)
        yield

    with pytest.raises(NotFound, match=f"^{which} `{deleted.tag}` was deleted while it was read$"):
        bench.make(bento, step=step)


def test_a_changed_line_makes_one_new_layer(bench: Bench) -> None:
    model = save_model(bench.home)
    bench.make(save_bento(bench.home, bench.wheels, models=(model,), source="a = 1\n"))
    result = bench.make(save_bento(bench.home, bench.wheels, models=(model,), source="a = 2\n"))
    assert [layer.kind for layer in result.layers if layer.is_new] == ["source"]


def test_weights_are_compressed_on_request(bench: Bench) -> None:
    bento = save_bento(bench.home, bench.wheels, models=(save_model(bench.home, text="weights " * 10_000),))
    plain, packed = bench.make(bento), bench.make(bento, compress_models="gzip")
    assert plain.id == packed.id, "the same files, however they travel"
    sizes = [{one.kind: one.size for one in made.layers}["model"] for made in (plain, packed)]
    assert sizes[1] * 10 < sizes[0]


def test_weights_are_compressed_with_zstd_for_those_who_read_it(bench: Bench) -> None:
    bento = save_bento(bench.home, bench.wheels, models=(save_model(bench.home),))
    plain, packed = bench.make(bento), bench.make(bento, compress_models="zstd")
    assert plain.id == packed.id and plain.digest != packed.digest
    index = json.loads((bench.root / "image/index.json").read_bytes())
    layers = json.loads(bench.blob(index["manifests"][-1]).read_bytes())["layers"]
    kinds = [descriptor["mediaType"].rpartition("+")[2] for descriptor in layers]
    assert kinds.count("zstd") == 1
    blob = bench.blob(layers[kinds.index("zstd")])
    assert b"".join(decompressed(FileBlob(blob).chunks())).find(b"model.yaml") > 0


@pytest.mark.parametrize("output", ["type=docker", "type=docker-archive,dest={}/x.tar"])
def test_an_engine_that_may_not_read_zstd_is_not_given_it(bench: Bench, output: str) -> None:
    bento = save_bento(bench.home, bench.wheels)
    with pytest.raises(InvalidArgument, match=r"`--compress-models zstd`.*take `gzip`, or push"):
        containerize(
            bento,
            home=bench.home,
            env=offline(bench.wheels),
            output=output.format(bench.root),
            compress_models="zstd",
        )
    with pytest.raises(InvalidArgument, match=r"compression `lzma` is not known"):
        bench.make(bento, compress_models="lzma")
    assert not (bench.root / "x.tar").exists() and not (bench.root / "image").exists()


@pytest.mark.parametrize(
    ("said", "wish", "expected"),
    [
        pytest.param(True, None, True, id="the bento says so"),
        pytest.param(True, False, False, id="the command says no"),
        pytest.param(False, True, True, id="the command says so"),
        pytest.param(False, None, False, id="nobody says so"),
    ],
)
def test_bytecode_where_it_is_asked_for(
    tmp_path: Path, said: bool, wish: bool | None, expected: bool
) -> None:
    version = f"3.{sys.version_info.minor}"
    program = f"\0{platform.python_version()}\0".encode()
    bench = Bench(tmp_path, python=f"/usr/local/bin/python{version}", program=program)
    image = {"python_version": version, **({"compile": True} if said else {})}
    result = bench.make(save_bento(bench.home, bench.wheels, image=image), bytecode=wish)
    compiled = [path for _, path, _ in bench.files() if path.endswith(".pyc")]
    place = f"home/bentoml/.cache/python/app/.venv/lib/python{version}/site-packages/numbers/one"
    assert (f"{place}.{sys.implementation.cache_tag}.pyc" in compiled) is expected is bool(compiled)
    assert expected is any(layer.about.startswith("bytecode") for layer in result.layers)


def test_nobody_can_compile(bench: Bench) -> None:
    bento = save_bento(bench.home, bench.wheels, image={"compile": True})
    with pytest.raises(BentoMLException, match=r"does not say which release .*`--no-compile`"):
        bench.make(bento)
    assert not (bench.root / "image").exists()


def test_a_changed_file_is_found_on_request(bench: Bench) -> None:
    model = save_model(bench.home)
    bento = save_bento(bench.home, bench.wheels, models=(model,))
    bench.make(bento, verify=True)
    file = Path(model.path_of("words.txt"))
    before = file.stat()
    file.chmod(0o644)
    file.write_text("hallo")
    file.chmod(0o444)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # neither size nor time tells
    bench.make(bento)
    with pytest.raises(BentoMLException, match=f"`{model.tag}` is damaged: `words.txt` has other content"):
        bench.make(bento, verify=True)


def test_a_service_for_gpus_has_each_cuda_library_once(bench: Bench) -> None:
    cuda = wheel(
        bench.wheels,
        "nvidia_cuda_runtime_cu12",
        "12.8.90",
        files={"nvidia/lib/libcudart.so.12": "cudart " * 999},
    )
    gpu: dict[str, object] = {"name": "Greeter", "config": {"resources": {"gpu": "1"}}}
    made = bench.make(save_bento(bench.home, bench.wheels, services=(gpu,), packages=(cuda,)))
    run = bench.config(made)["config"]
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"} < set(run["Env"])
    assert "NVIDIA_REQUIRE_CUDA=cuda>=12.8" in run["Env"]
    libraries = Counter(Digest.of(data) for _, path, data in bench.files() if ".so" in path)
    assert libraries[Digest.of(b"cudart " * 999)] == 1
    assert set(libraries.values()) == {1}


def test_an_archive_on_stdout(bench: Bench, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    bento = save_bento(bench.home, bench.wheels)
    made = containerize(
        bento,
        home=bench.home,
        env=offline(bench.wheels),
        base=f"oci:{bench.root / 'base'}",
        output="type=docker-archive,dest=-",
    )
    with tarfile.open(fileobj=io.BytesIO(capfdbinary.readouterr().out)) as archive:
        (entry,) = json.load(archive.extractfile("manifest.json") or io.BytesIO())
    assert made.id.hex in entry["Config"]


@pytest.mark.slow
def test_the_same_image_in_every_way(tmp_path: Path) -> None:
    """Other folders, empty caches, another umask, zone, home and hash seed; the bento is built anew each time."""
    ids = set()
    for place, umask, changes in (
        ("a", 0o022, {}),
        ("other/place", 0o077, {"TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7", "LC_ALL": "tr_TR.UTF-8"}),
    ):
        (tmp_path / place).mkdir(parents=True)
        done = subprocess.run(
            [sys.executable, "-c", f"from tests.builder.image.test_containerize import print_id; print_id({str(tmp_path / place)!r})"],
            cwd=Path(__file__).parents[3], umask=umask, env={**os.environ, **changes}, capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        ids.add(done.stdout)
    assert len(ids) == 1


def print_id(root: str) -> None:
    """Make everything from nothing and print what must not differ."""
    bench = Bench(Path(root))
    model = save_model(bench.home)
    result = bench.make(save_bento(bench.home, bench.wheels, models=(model,)))
    print(result.id, *bench.config(result)["rootfs"]["diff_ids"])


def test_the_time_of_the_image(bench: Bench) -> None:
    bento = save_bento(bench.home, bench.wheels)
    result = bench.make(bento, env={"SOURCE_DATE_EPOCH": "86400"})
    assert bench.config(result)["created"] == "1970-01-02T00:00:00Z"
    assert result.id != bench.make(bento).id


@pytest.mark.parametrize("epoch", ["0", "1700000000"])
def test_what_is_in_an_image_is_whole_and_not_read_to_know_that(
    bench: Bench, tmp_path: Path, epoch: str
) -> None:
    model = save_model(bench.home)
    secret = {"name": "TOKEN", "value": "x", "stage": "build"}
    bento = save_bento(bench.home, bench.wheels, models=(model,), envs=(secret,))
    bench.make(bento, env={"SOURCE_DATE_EPOCH": epoch})
    bench.extract(tmp_path / "root")
    home = tmp_path / "root/home/bentoml"
    info = BentoInfo.from_yaml((home / "bento/bento.yaml").read_text())
    found = (Bento(home / "bento", info), ModelStore(Home(home)).get(model.tag))
    for item in found:
        item.check(thoroughly=True)
        files = [Path(item.path_of(entry.path)) for entry in item.tree.entries]
        files[0].chmod(0o644)
        content, times = files[0].read_bytes(), files[0].stat()
        files[0].write_bytes(content[::-1])
        os.utime(files[0], ns=(times.st_atime_ns, int(epoch) * 10**9))
        item.check()  # by the time that all files have in common
        os.utime(files[0])
        with pytest.raises(BentoMLException, match="has other content"):
            item.check()


def test_a_secret_of_the_build_is_nowhere(bench: Bench) -> None:
    canary = "canary-5b1f"
    bento = save_bento(bench.home, bench.wheels, envs=({"name": "TOKEN", "value": canary, "stage": "build"},))
    result = bench.make(bento, env={"TOKEN": canary})
    assert canary not in json.dumps(bench.config(result))
    assert not [path for _, path, data in bench.files() if canary.encode() in data]
    assert "service.py" in "".join(path for _, path, _ in bench.files())


def test_nothing_of_this_machine_is_in_it(bench: Bench) -> None:
    bench.make(save_bento(bench.home, bench.wheels, models=(save_model(bench.home),)))
    for _, path, data in bench.files():
        assert str(bench.root).encode() not in data, path
        assert sys.executable.encode() not in data, path


def test_a_base_with_another_python(tmp_path: Path) -> None:
    bench = Bench(tmp_path, python="/usr/bin/python3.9")
    with pytest.raises(
        BentoMLException,
        match=r"needs Python 3\.11, but base image `oci:.*` has Python 3\.9.*python:3\.11-slim",
    ):
        bench.make(save_bento(bench.home, bench.wheels))
    assert not (tmp_path / "image").exists()


def test_a_base_that_is_the_image_of_a_bento(bench: Bench) -> None:
    """Nothing of that one is left: a package of it, or bytecode, would be found beside those of the new one."""
    other = wheel(bench.wheels, "colors", files={"colors/one.py": "ONE = 1\n"})
    bench.make(save_bento(bench.home, bench.wheels, packages=(other,), source="# first\n"))
    (bench.root / "image").rename(bench.root / "first")
    bento = save_bento(bench.home, bench.wheels, source="# second\n")
    containerize(
        bento, home=bench.home, env=offline(bench.wheels), base=f"oci:{bench.root}/first",
        output=f"type=oci,dest={bench.root}/image",
    )  # fmt: skip
    assert bench.link("app/.venv/bin/python") == "/usr/local/bin/python3.11"
    hidden = [path for _, path, _ in bench.files() if "/.wh." in path]
    assert hidden == ["app/.wh..venv", "home/.wh.bentoml"]
    names = [path for _, path, _ in bench.files()]
    assert names.index("app/.wh..venv") > max(n for n, name in enumerate(names) if "/colors/" in name)
    assert names.index("app/.wh..venv") < names.index(
        "home/bentoml/bento/src/service.py", names.index("home/.wh.bentoml")
    )


def test_a_base_with_a_virtual_environment_where_ours_will_lie(bench: Bench) -> None:
    """Its Python is a link there, which ours replaces: what it points to is taken."""
    below, link = base(), TarEntry.symlink("app/.venv/bin/python3.11", "/usr/local/bin/python3.11")
    config = {**below.config, "config": {"Env": ["PATH=/app/.venv/bin:/usr/local/bin"]}}
    run = RunConfig("0", "/", ("python3",))
    image = assemble(below._replace(config=config), [layer([link])], run, epoch=0)
    write_layout(bench.root / "with-venv", image, ["base:1"])
    bento = save_bento(bench.home, bench.wheels)
    containerize(
        bento, home=bench.home, env=offline(bench.wheels), base=f"oci:{bench.root}/with-venv",
        output=f"type=oci,dest={bench.root}/image",
    )  # fmt: skip
    assert bench.link("app/.venv/bin/python") == "/usr/local/bin/python3.11"


def test_a_base_without_python(tmp_path: Path) -> None:
    bench = Bench(tmp_path, python="/usr/bin/perl")
    with pytest.raises(BentoMLException, match="has no Python"):
        bench.make(save_bento(bench.home, bench.wheels))


def test_a_model_that_is_gone(bench: Bench) -> None:
    model = save_model(bench.home)
    bento = save_bento(bench.home, bench.wheels, models=(model,))
    ModelStore(bench.home).delete(model.tag)
    with pytest.raises(NotFound, match=f"bento `{bento.tag}` needs model `{model.tag}`"):
        bench.make(bento)


def test_a_model_from_elsewhere_that_nobody_trusts(bench: Bench) -> None:
    with ModelStore(bench.home).create("words", custom_objects={"key": "value"}) as model:
        Path(model.path, "words.txt").write_text("hello")
    bento = save_bento(bench.home, bench.wheels, models=(model,))
    door = Trust(bench.home)
    door.received(model.digest, "an archive", ["custom_objects.pkl"], is_trusted=False)
    with pytest.raises(BentoMLException, match=f"bentoml models trust {model.tag}"):
        bench.make(bento)
    door.trust(model.digest)
    bench.make(bento)


def test_a_bento_of_another_program(bench: Bench) -> None:
    commands = {
        "commands": ["apt-get update"]
    }  # which it adds itself: no reason to tell the user to leave them away
    bento = save_bento(bench.home, bench.wheels, image=commands)
    for file in Path(bento.path, "env/python/wheels").iterdir():
        file.unlink()
    with pytest.raises(BentoMLException, match="does not hold the runtime"):
        bench.make(bento)


def test_packages_that_cannot_be_had_leave_nothing(bench: Bench) -> None:
    bento = save_bento(bench.home, bench.wheels)
    for file in bench.wheels.glob("*.whl"):
        file.unlink()
    with pytest.raises(BentoMLException, match="numbers"):
        bench.make(bento)
    assert not (bench.root / "image").exists()


def test_one_image_for_several_platforms(bench: Bench) -> None:
    arm = base()._replace(
        platform=Platform("linux", "arm64"), config={**base().config, "architecture": "arm64"}
    )
    images = [assemble(below, [], RunConfig("0", "/", ("python3",)), epoch=0) for below in (base(), arm)]
    write_layout(bench.root / "base", ImageIndex(tuple(images)), ["base:1"])
    platforms = ["linux/amd64", "linux/arm64"]
    plain = save_bento(bench.home, bench.wheels)
    pins = Path(plain.path, "env/python/requirements.txt").read_text()
    files = {"env/python/requirements-linux-arm64.txt": pins}
    bento = save_bento(bench.home, bench.wheels, image={"platforms": platforms}, files=files)
    result = bench.make(bento, platform="linux/amd64, linux/arm64,linux/amd64", sbom=True)
    assert list(result.platforms) == platforms
    index = json.loads((bench.root / "image/index.json").read_bytes())["manifests"]
    assert [entry["digest"] for entry in index] == [
        str(digest) for digest in (result.digest, *(sbom.root.digest for sbom in result.referrers))
    ]
    inner = json.loads(bench.blob(index[0]).read_bytes())["manifests"]
    assert [entry["platform"]["architecture"] for entry in inner] == ["amd64", "arm64"]
    assert [sbom.subject.digest for sbom in result.referrers] == [Digest.parse(e["digest"]) for e in inner]
    with pytest.raises(InvalidArgument, match="has an empty name"):
        bench.make(bento, platform="linux/amd64,")
    for output in ("type=docker", "type=docker,dest=a.tar"):
        with pytest.raises(InvalidArgument, match="an engine takes the image of one platform"):
            containerize(bento, home=bench.home, env={}, output=output, platform=",".join(platforms))


def test_steps_are_told(bench: Bench) -> None:
    told = []

    @contextmanager
    def step(words: str) -> Iterator[None]:
        told.append(words)
        yield

    bench.make(save_bento(bench.home, bench.wheels), step=step)
    assert len(told) >= 3
    assert "base" in told[0]
    assert re.search(r"image \(\d+\.\d MB\)", told[-1])
