"""With Debian's registry and skopeo: what is pushed is what others read, and a kill at any point costs nothing but time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builder.oci.images import noise
from tests.registry.items import save_bento, save_model
from tests.registry.real import real_registry

from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.registry.pull import Pulling, pull
from bentoml.registry.push import Pushing, push
from bentoml.registry.reference import Reference
from bentoml.store.models import ModelStore
from bentoml.store.scan import scan

pytestmark = pytest.mark.engine


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "docker").mkdir()
    with real_registry(tmp_path / "docker") as host:
        yield host


def run(argv: list[str]) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def bentoml(home: Home, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "BENTOML_HOME": str(home.root), **variables}
    return subprocess.run([sys.executable, "-m", "bentoml", *words], env=env, capture_output=True, text=True)


def test_a_bento_travels_by_commands(tmp_path: Path, host: str) -> None:
    here, there = Home(tmp_path / "here"), Home(tmp_path / "there")
    model = save_model(here, small=40)
    bento = save_bento(here, model)
    done = bentoml(here, "push", "app", "--tag", "latest", BENTOML_REGISTRY=f"{host}/team")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        f'Bento(tag="{bento.tag}") pushed to {host}/team/app:{bento.tag.version}@sha256:'
    )
    done = bentoml(there, "pull", "app", "--with-models", BENTOML_REGISTRY=f"{host}/team")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f'Model(tag="{model.tag}") pulled.\nBento(tag="{bento.tag}") pulled.\n'
    assert scan(Path(ModelStore(there).get(model.tag).path), skip="model.yaml") == model.tree
    again = bentoml(here, "push", "app", f"{host}/team/app")
    assert again.returncode == 0
    assert again.stderr.splitlines()[-1] == "nothing to send"


def test_skopeo_reads_and_copies_what_was_pushed(tmp_path: Path, host: str) -> None:
    here, there = Home(tmp_path / "here"), Home(tmp_path / "there")
    model = save_model(here, small=40)
    place = Reference.parse(f"{host}/team/iris:{model.tag.version}")
    digest = push(model, place, Pushing(here, {}, shard=100_000)).digest
    raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{place}"])
    assert json.loads(raw)["artifactType"] == "application/vnd.bentoml.model.v1"
    copy = f"docker://{host}/copied/iris:2"
    insecure = ["--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"]
    run(["skopeo", "copy", *insecure, f"docker://{place}", copy])
    back = pull("model", Reference.parse(f"{host}/copied/iris@{digest}"), Pulling(there, {}))
    assert scan(Path(back.item.path), skip="model.yaml") == model.tree


def test_a_full_disk_is_left_as_it_was(tmp_path: Path, host: str) -> None:
    here, small = Home(tmp_path / "here"), tmp_path / "small"
    model = save_model(here, weights=noise(6_000_000))
    place = Reference.parse(f"{host}/team/iris:1")
    push(model, place, Pushing(here, {}))
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)])
    try:
        with pytest.raises(BentoMLException, match="No space left on device: nothing was stored"):
            pull("model", place, Pulling(Home(small / "home"), {}))
        assert [path for path in small.rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    finally:
        run(["umount", str(small)])


# Runs one transfer; the test kills it at a random moment.
TRANSFER = """
import sys
from pathlib import Path
from bentoml.config import Home
from bentoml.registry.pull import Pulling, pull
from bentoml.registry.push import Pushing, push
from bentoml.registry.reference import Reference
from bentoml.store.models import ModelStore
import httpx2

what, root, place = sys.argv[1:]
home, reference = Home(Path(root)), Reference.parse(place)
print("ready", flush=True)
if what == "push":
    push(ModelStore(home).get("iris"), reference, Pushing(home, {}, threads=2, shard=4_000_000))
else:
    pull("model", reference, Pulling(home, {}, threads=2))
"""


def killed(what: str, home: Home, place: str, chance: random.Random) -> bool:
    """Run a transfer and kill it somewhere; say whether it was still at it."""
    argv = [sys.executable, "-c", TRANSFER, what, str(home.root), place]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.25))
        os.kill(child.pid, signal.SIGKILL)
    return child.returncode != 0


def test_kill_9_at_any_point_of_push_and_pull_leaves_nothing_half(tmp_path: Path, host: str) -> None:
    here, chance, in_the_middle = Home(tmp_path / "here"), random.Random(), 0
    for number in range(25):
        model = save_model(here, weights=noise(20_000_000, str(number)), small=20)
        place = f"{host}/kill/iris:{number}"
        in_the_middle += killed("push", here, place, chance)
        reference = Reference.parse(place)
        there = Home(tmp_path / f"there-{number}")
        try:
            whole = pull("model", reference, Pulling(there, {})).item
        except NotFound:
            assert ModelStore(there).list() == []
        else:
            assert scan(Path(whole.path), skip="model.yaml") == model.tree
        push(model, reference, Pushing(here, {}))
        other = Home(tmp_path / f"other-{number}")
        in_the_middle += killed("pull", other, place, chance)
        for found in ModelStore(other).list():
            found.check(thoroughly=True)
        assert (
            scan(Path(pull("model", reference, Pulling(other, {})).item.path), skip="model.yaml")
            == model.tree
        )
        assert list((other.cache / "registry" / "partial").iterdir()) == []
    assert in_the_middle > 20, "the kills must hit the middle, or this test shows nothing"
