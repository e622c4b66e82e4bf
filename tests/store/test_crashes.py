"""What happens when processes save at once, are killed in the middle, or find the disk full."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.store.saving import Save

from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.models import Model, ModelStore
from bentoml.store.scan import scan

# Saves, and now and then deletes, for ever: a few files each, some of them shared with earlier models.
SAVER = """
import random, sys
from pathlib import Path
from bentoml.config import Home
from bentoml.exceptions import NotFound
from bentoml.store.models import ModelStore

store, random = ModelStore(Home(Path(sys.argv[1]))), random.Random(int(sys.argv[2]))
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    with store.create("iris", custom_objects={"n": random.randrange(4)}) as model:
        for part in range(4):
            data = bytes([random.randrange(8)]) * random.choice([10, 100_000, 4_000_000])
            Path(model.path, f"part-{part}").write_bytes(data)
    if number % 3 == 2:
        try:
            store.delete(random.choice(store.tags("iris")))
        except NotFound:
            pass  # another process was quicker
"""


def saver(home: Home, seed: int, times: int) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", SAVER, str(home.root), str(seed), str(times)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_whole(models: list[Model]) -> None:
    for model in models:
        assert scan(Path(model.path), skip="model.yaml") == model.info.files, model.tag
        assert model.info.identity(model.info.files) == model.info.digest


def blobs(home: Home) -> list[Path]:
    return [path for path in home.blobs.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_kill_9_at_any_point_leaves_a_store_that_lists_clean(
    home: Home, save: Save, caplog: pytest.LogCaptureFixture
) -> None:
    store, chance, killed_while_saving = ModelStore(home), random.Random(), 0
    for seed in range(50):
        with saver(home, seed, 1_000_000) as child:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0, 0.15))
            os.kill(child.pid, signal.SIGKILL)
        killed_while_saving += any(home.staging.glob("*.lock"))
        with caplog.at_level(logging.WARNING, "bentoml"):
            listed = store.list()
        assert caplog.text == ""
        assert_whole(listed)
        if listed:
            assert store.get("iris:latest") in listed
    assert killed_while_saving > 10, "the kills must hit the middle of saving, or this test shows nothing"
    last = save("after", {"w": "1"})
    assert store.get("after") == last
    assert list(home.staging.iterdir()) == []
    assert all(blob.stat().st_nlink > 1 for blob in blobs(home)), "no blob may outlive its last item"


@pytest.mark.slow
def test_processes_may_save_and_delete_at_once(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    children = [saver(home, seed, 30) for seed in (1, 1, 2, 3)]
    store = ModelStore(home)
    with caplog.at_level(logging.WARNING, "bentoml"):
        while any(child.poll() is None for child in children):
            store.list()
    assert caplog.text == "", "listing while others save and delete must not find anything half there"
    for child in children:
        _, errors = child.communicate()
        assert (child.returncode, errors) == (0, "")
    assert_whole(store.list())
    assert store.get("iris:latest") in store.list()
    assert list(home.staging.iterdir()) == []
    assert all(blob.stat().st_nlink > 1 for blob in blobs(home))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.engine  # needs the right to mount
def test_deleting_makes_room_on_a_full_disk(small_disk: Path) -> None:
    store = ModelStore(Home(small_disk))
    for version in ("v1", "v2"):
        with store.create(f"iris:{version}") as model:
            Path(model.path_of("w")).write_text(version)
    store.set_alias("iris@prod", "iris:v2")
    with suppress(OSError), (small_disk / "full").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    store.delete("iris@prod", force=True)
    assert [str(model.tag) for model in store.list()] == ["iris:v1"]
    assert (store.get("iris").tag.version, store.aliases()) == ("v1", {})


@pytest.mark.engine  # needs the right to mount
@pytest.mark.parametrize("step", ["files", "objects"])
def test_a_full_disk_leaves_nothing(small_disk: Path, step: str) -> None:
    store = ModelStore(Home(small_disk))
    with store.create("small") as small:
        Path(small.path_of("w")).write_bytes(b"x" * 1000)
    with pytest.raises(BentoMLException, match="No space left on device: nothing was stored"):  # noqa: SIM117 - the block fails
        with store.create(
            "big", custom_objects={"data": os.urandom(5_000_000) if step == "objects" else b""}
        ) as model:
            if step == "files":
                Path(model.path_of("w")).write_bytes(os.urandom(5_000_000))
    assert store.list() == [small]
    assert list((small_disk / "staging").iterdir()) == []
    assert len(blobs(Home(small_disk))) == 1
    with store.create("big") as model:
        Path(model.path_of("w")).write_bytes(os.urandom(2_000_000))
    assert store.get("big") == model
