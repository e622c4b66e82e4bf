"""What happens when processes save, delete, name, collect, verify and list at once, or are killed while they do."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bentoml.config import Home
from bentoml.store.garbage import collect, find_garbage
from bentoml.store.models import ModelStore
from bentoml.store.scan import scan

# Does one thing after the other, says what it saved and what it is about to delete. Only what others may cause at any
# time is no error: that something is gone, or that an alias names it.
KEEPER = """
import random, sys
from pathlib import Path
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.store.garbage import collect
from bentoml.store.models import ModelStore

home, chance, times, collects = Home(Path(sys.argv[1])), random.Random(int(sys.argv[2])), int(sys.argv[3]), sys.argv[4]
store = ModelStore(home)

def save():
    with store.create(chance.choice(["iris", "rose"])) as model:
        for part in range(3):
            data = bytes([chance.randrange(6)]) * chance.choice([10, 100_000, 1_000_000])
            Path(model.path, f"part-{part}").write_bytes(data)
    print("saved", model.tag, flush=True)

def delete():
    tag = chance.choice(store.tags("iris"))
    print("deletes", tag, flush=True)
    store.delete(tag)

def name():
    store.set_alias("iris@" + chance.choice("ab"), chance.choice(store.tags("iris")))

def unname():
    store.delete_alias("iris@" + chance.choice("ab"))

def look():
    store.get(chance.choice(["iris@a", "iris", "rose", *map(str, store.tags())]))
    assert store.verify("rose") == []
    store.list()

def tidy():
    collect(home, temporary=home.root / "tmp")

print("ready", flush=True)
doings = [save, save, save, delete, name, unname, look, *([tidy] if collects == "yes" else [])]
for _ in range(times):
    try:
        chance.choice(doings)()
    except NotFound:
        pass
    except BentoMLException as e:
        if "can't be deleted" not in str(e):
            raise
"""


def keeper(home: Home, seed: int, times: int, *, collects: bool = True) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", KEEPER, str(home.root), str(seed), str(times), "yes" if collects else "no"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def survivors(lines: list[str]) -> set[str]:
    """Return the tags of what was saved and not deleted afterwards."""
    left: set[str] = set()
    for line in lines:
        verb, _, tag = line.strip().partition(" ")
        if verb == "saved":
            left.add(tag)
        elif verb == "deletes":
            left.discard(tag)
    return left


def assert_sound(home: Home) -> None:
    """Nothing is half: each item is whole, each alias names something, and nothing is left once it is collected."""
    store = ModelStore(home)
    for model in store.list():
        assert scan(Path(model.path), skip="model.yaml") == model.info.files, model.tag
    assert store.verify() == []
    collect(home, temporary=home.root / "tmp")
    assert find_garbage(home, temporary=home.root / "tmp") == []
    assert set(store.aliases().values()) <= set(store.tags())
    assert list(home.staging.iterdir()) == []
    blobs = [path for path in home.blobs.rglob("*") if path.is_file()]
    assert all(blob.stat().st_nlink > 1 for blob in blobs)


@pytest.mark.slow
def test_eight_processes_do_everything_at_once(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    children = [keeper(home, seed, 60) for seed in range(8)]
    ends = time.monotonic() + 120
    with caplog.at_level(logging.WARNING, "bentoml"):
        while any(child.poll() is None for child in children):
            assert time.monotonic() < ends, "they wait for one another for ever"
            ModelStore(home).list()
            time.sleep(0.05)
    assert caplog.text == "", "nothing half may be seen by those who list"
    said = [child.communicate() for child in children]
    assert [(child.returncode, errors) for child, (_, errors) in zip(children, said, strict=True)] == [
        (0, "")
    ] * 8
    deleted = {
        line.removeprefix("deletes ") for out, _ in said for line in out.splitlines() if "deletes" in line
    }
    saved = {line.removeprefix("saved ") for out, _ in said for line in out.splitlines() if "saved" in line}
    assert saved - deleted <= set(map(str, ModelStore(home).tags())), "what nobody deleted is there"
    assert_sound(home)


@pytest.mark.slow
@pytest.mark.parametrize("collects", [True, False], ids=["collecting", "not collecting"])
def test_kill_9_at_any_point_loses_nothing(
    home: Home, caplog: pytest.LogCaptureFixture, *, collects: bool
) -> None:
    store, chance, killed_in_the_middle = ModelStore(home), random.Random(), 0
    expected: set[str] = set()
    for seed in range(50):
        with keeper(home, seed, 1_000_000, collects=collects) as child:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0, 0.15))
            os.kill(child.pid, signal.SIGKILL)
            lines = child.stdout.readlines()
        killed_in_the_middle += any(home.staging.glob("*.lock"))
        doomed = {line.split()[1] for line in lines if line.startswith("deletes ")}
        expected = (expected - doomed) | survivors(lines)
        with caplog.at_level(logging.WARNING, "bentoml"):
            there = {str(model.tag) for model in store.list()}
        assert caplog.text == ""
        assert expected <= there
    assert killed_in_the_middle > 10, "the kills must hit the middle of something, or this test shows nothing"
    assert_sound(home)
