"""One store for this library and for BentoML 1.4, which runs in an environment of its own: each reads what the other made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest
from benchmarks._harness import Environment, environments
from tests.store.flips import flip
from tests.support import Project

from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.bentos import BentoStore
from bentoml.store.models import ModelStore
from bentoml.store.scan import scan

pytestmark = pytest.mark.slow  # installs and runs BentoML

SERVICE = """
import bentoml

@bentoml.service
class Words:
    model = bentoml.models.BentoModel("vocabulary:latest")

    @bentoml.api
    def count(self, text: str) -> int:
        with open(self.model.path_of("words.txt")) as file:
            return len(text.split()) + len(file.read().split())
"""
BENTOFILE = """
service: "service:Words"
include: ["service.py"]
models: ["vocabulary:latest"]
python:
  packages: ["packaging==24.2"]
"""

SAVE_THEIRS = """
import bentoml, numpy
from sklearn.linear_model import LogisticRegression

with bentoml.models.create(
    "vocabulary", labels={"stage": "prod"}, metadata={"accuracy": 0.9, "shape": (1, 2), "n": numpy.int64(3)},
    custom_objects={"stop": ["a", "the"]},
) as model:
    with open(model.path_of("words.txt"), "w") as file:
        file.write("one two three")

fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
bentoml.sklearn.save_model(
    "digits", fitted, signatures={"predict": {"batchable": True, "batch_dim": 0}}, metadata={"classes": 2},
    custom_objects={"scale": 2},
)
"""

READ_THEIRS = """
import bentoml, json, sys
model = bentoml.models.get(sys.argv[1])
print(json.dumps({
    "tag": str(model.tag), "labels": model.info.labels, "metadata": model.info.metadata,
    "words": open(model.path_of("words.txt")).read(), "objects": dict(model.custom_objects),
}))
"""


class Theirs:
    """BentoML, with the store of a test."""

    def __init__(self, environment: Environment, home: Home) -> None:
        self.python = environment.python
        home.root.mkdir(parents=True, exist_ok=True)
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
            "BENTOML_HOME": str(home.root),
            "BENTOML_DO_NOT_TRACK": "True",
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, code: str, *arguments: str) -> str:
        """Run Python code."""
        return self._run([str(self.python), "-c", code, *arguments], Path("/"))

    def bentoml(self, *arguments: str, folder: Path = Path("/"), env: Mapping[str, str] | None = None) -> str:
        """Run its command."""
        return self._run([str(self.python.parent / "bentoml"), *arguments], folder, env or {})

    def _run(self, argv: list[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            argv, env={**self.env, **(env or {})}, cwd=folder, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    @contextmanager
    def serve(self, tag: str) -> Iterator[str]:
        """Serve a bento; gives the address."""
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        argv = [str(self.python.parent / "bentoml"), "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
        with subprocess.Popen(
            argv, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as server:
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                os.killpg(server.pid, signal.SIGTERM)


@pytest.fixture(scope="module")
def environment() -> Environment:
    return environments(names=("bentoml",))["bentoml"]


@pytest.fixture
def theirs(environment: Environment, home: Home) -> Theirs:
    return Theirs(environment, home)


@pytest.fixture
def project(tmp_path: Path, home: Home) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, home.root).write(service_py=SERVICE, bentofile_yaml=BENTOFILE)


def ask(url: str, text: str) -> object:
    """Call the service of the test, waiting until it is there."""
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(f"{url}/count", body, {"Content-Type": "application/json"})
    ends = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except OSError:
            assert time.monotonic() < ends, "it did not answer"
            time.sleep(0.2)


def test_models_of_theirs_are_read_verified_and_guarded(theirs: Theirs, home: Home) -> None:
    theirs.run(SAVE_THEIRS)
    store = ModelStore(home)
    vocabulary, digits = store.get("vocabulary"), store.get("digits")
    assert {model.tag for model in store.list()} == {vocabulary.tag, digits.tag}
    assert vocabulary.info.labels == {"stage": "prod"}
    assert vocabulary.info.metadata == {"accuracy": 0.9, "shape": [1, 2], "n": 3}
    assert vocabulary.custom_objects == {"stop": ["a", "the"]}
    assert digits.info.module == "bentoml.sklearn"
    assert digits.info.signatures == {"predict": {"batchable": True, "batch_dim": [0, 0]}}
    assert store.list(labels={"stage": "prod"}, metadata={"n": "3"}) == [vocabulary]
    assert (vocabulary.info.digest, digits.info.digest) == (None, None)

    assert store.verify() == []
    for before in (vocabulary, digits):
        verified = store.get(before.tag)
        assert verified.info.digest == before.digest
        assert verified.info.files == scan(Path(before.path), skip="model.yaml")
    assert store.verify() == []
    read = json.loads(theirs.run(READ_THEIRS, str(vocabulary.tag)))
    assert (read["words"], read["objects"]) == ("one two three", {"stop": ["a", "the"]})
    assert len(json.loads(theirs.bentoml("models", "list", "-o", "json"))) == 2

    flip(vocabulary.path_of("words.txt"))
    with pytest.raises(BentoMLException, match=r"`words\.txt` has other content"):
        store.get("vocabulary")
    assert [damage.path for damage in store.verify()] == ["words.txt"]


def test_models_of_ours_are_read_listed_and_deleted_by_them(theirs: Theirs, home: Home) -> None:
    store = ModelStore(home)
    with store.create(
        "vocabulary",
        labels={"stage": "prod"},
        metadata={"accuracy": 0.9, "list": [1, "b"], "deep": {"a": True}},
        signatures={"predict": {"batchable": True, "batch_dim": 1}},
        options={"fast": True},
        custom_objects={"stop": ["a"]},
    ) as model:
        Path(model.path_of("words.txt")).write_text("one two")
    store.set_alias("vocabulary@prod", model.tag)
    for tag in (str(model.tag), "vocabulary:latest", "vocabulary"):
        assert json.loads(theirs.run(READ_THEIRS, tag)) == {
            "tag": str(model.tag),
            "labels": {"stage": "prod"},
            "metadata": {"accuracy": 0.9, "list": [1, "b"], "deep": {"a": True}},
            "words": "one two",
            "objects": {"stop": ["a"]},
        }
    (row,) = json.loads(theirs.bentoml("models", "list", "-o", "json"))
    assert row["tag"] == str(model.tag)
    assert store.get("vocabulary@prod").damage() == []
    theirs.bentoml("models", "delete", "-y", str(model.tag))
    assert store.list() == []


@pytest.mark.parametrize("features", ["", "no_image"], ids=["spec 2", "spec 1"])
def test_bentos_of_theirs_are_read_verified_and_served(
    theirs: Theirs, home: Home, project: Project, features: str
) -> None:
    theirs.run(SAVE_THEIRS)
    theirs.bentoml("build", folder=project.folder, env={"BENTOML_ENABLE_FEATURES": features})
    store = BentoStore(home)
    (bento,) = store.list()
    assert bento.entry_service == "Words"
    assert [ref.tag.name for ref in bento.info.all_models] == ["vocabulary"]
    for _ in range(2):  # without a digest, and with the one that `verify` recorded
        with project.serve(str(bento.tag)) as url:
            assert ask(url, "a b") == 5
        done = project.bentoml("verify")
        assert (done.returncode, done.stdout) == (0, "")
    assert store.get("words").info.digest == bento.digest
    listed = json.loads(theirs.bentoml("list", "-o", "json"))
    assert [row["tag"] for row in listed] == [str(bento.tag)]
    with theirs.serve(str(bento.tag)) as url:
        assert ask(url, "a b") == 5

    flip(bento.path_of("src/service.py"))
    done = project.bentoml("serve", str(bento.tag))
    assert done.returncode != 0 and "`src/service.py` has other content" in done.stderr + done.stdout


def test_bentos_of_ours_are_read_listed_and_served_by_them(
    theirs: Theirs, home: Home, project: Project
) -> None:
    with ModelStore(home).create("vocabulary") as model:
        Path(model.path_of("words.txt")).write_text("one two three")
    built = project.bentoml("build", "-o", "tag")
    assert built.returncode == 0, built.stderr
    tag = built.stdout.strip().removeprefix("__tag__:")
    (row,) = json.loads(theirs.bentoml("list", "-o", "json"))
    assert row["tag"] == tag
    assert f"version: {tag.partition(':')[2]}" in theirs.bentoml("get", tag)
    with theirs.serve(tag) as url:
        assert ask(url, "a b") == 5
    assert BentoStore(home).verify() == []
