"""Bentos with models on Hugging Face: pinned in the lock and in the bento, served and containerized at that commit."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tests.builder.handmade import save_bento
from tests.builder.image.test_containerize import Bench
from tests.hub import Hub, serving
from tests.support import Project

import bentoml
from bentoml.builder.contents.hub_models import tell_missing_library
from bentoml.builder.packages.lock import Lock, lock_models, read_lock_file
from bentoml.exceptions import BentoMLException
from bentoml.models import HuggingFaceModel
from bentoml.sdk import hub as hub_library
from bentoml.store.bentos import BentoStore

FILES = {"config.json": b"first", "model.safetensors": b"w" * 300, "old.bin": b"o" * 100}
SERVICE = """
    import bentoml
    from pathlib import Path

    class Base:
        words = bentoml.models.HuggingFaceModel("Org/Tiny", exclude=["*.bin"])

    @bentoml.service
    class Reader(Base):
        @bentoml.api
        def read(self) -> str:
            return Path(self.words, "config.json").read_text()
"""
BUILD = """
    service: service:Reader
    python: {lock_packages: false}
"""


@pytest.fixture
def hub() -> Iterator[tuple[Hub, str]]:
    hub = Hub()
    hub.commit("Org/Tiny", FILES)
    with serving(hub) as url:
        yield hub, url


def commits_of(*answers: str) -> tuple[list[str], Callable[[str], str]]:
    """Return what was asked for, and who answers."""
    asked: list[str] = []
    left = iter(answers)

    def answer(name: str) -> str:
        asked.append(name)
        return next(left)

    return asked, answer


def test_the_lock_keeps_commits(tmp_path: Path) -> None:
    file, old, new = tmp_path / "bentofile.lock", "a" * 40, "b" * 40
    asked, commit_of = commits_of(old, new)
    assert lock_models(["org/tiny@main"], file, commit_of) == {"org/tiny@main": old}
    assert f'[huggingface]\n"org/tiny@main" = "{old}"\n' in file.read_text()
    assert lock_models(["org/tiny@main"], file, commit_of, "locked") == {"org/tiny@main": old}
    assert asked == ["org/tiny@main"]
    assert lock_models(["org/tiny@main"], file, commit_of, "update") == {"org/tiny@main": new}
    assert Lock.parse(file.read_text()) == read_lock_file(file) == Lock(models={"org/tiny@main": new})
    with pytest.raises(BentoMLException, match="has no commit for model `org/other@v1`"):
        lock_models(["org/other@v1"], file, commit_of, "locked")


def test_a_lock_that_holds_no_commits() -> None:
    with pytest.raises(ValueError, match="`huggingface` does not hold commits"):
        Lock.parse('version = 1\n[huggingface]\n"org/tiny@main" = "main"\n')


@pytest.mark.slow
def test_a_bento_is_pinned_and_serves_that_without_a_hub(project: Project, tmp_path: Path) -> None:
    project.env |= {"BENTOML_HF_CACHE_DIR": str(tmp_path / "cache"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    project.write(service_py=SERVICE, bentofile_yaml=BUILD)
    hub = Hub()
    commit = hub.commit("Org/Tiny", FILES)
    with serving(hub) as url:
        project.env["HF_ENDPOINT"] = url
        first = project.bentoml("build", "-o", "tag")
        assert first.returncode == 0, first.stderr
        tag = first.stdout.strip().removeprefix("__tag__:")
        hub.commit("Org/Tiny", {"config.json": b"second"})
        assert project.bentoml("build", "-o", "tag").stdout == first.stdout  # as the lock says
        data = yaml.safe_load(project.bentoml("get", tag).stdout)
        (model,) = data["services"][0]["models"]
        assert model["registry"] == "huggingface"
        assert model["metadata"] == {
            "model_id": "Org/Tiny", "revision": commit, "endpoint": url, "include": None, "exclude": ["*.bin"],
        }  # fmt: skip
        with project.serve(tag) as address, bentoml.SyncHTTPClient(address) as client:
            assert client.read() == "first"
        with project.serve(".") as address, bentoml.SyncHTTPClient(address) as client:
            assert client.read() == "second"
        hub.asked.clear()
        with project.serve(tag) as address, bentoml.SyncHTTPClient(address) as client:
            assert client.read() == "first"
        assert [one for one in hub.asked if "/api/agent-harnesses" not in one] == []
    with project.serve(tag) as address, bentoml.SyncHTTPClient(address) as client:
        assert client.read() == "first"  # the hub is gone
    assert project.bentoml("build", "--offline", "-o", "tag").stdout == first.stdout
    moved = project.bentoml("build", "--update", "-o", "tag")
    assert moved.returncode == 0, moved.stderr  # what the last download said, as the hub is gone
    assert moved.stdout != first.stdout


def test_an_image_holds_the_files(
    tmp_path: Path, hub: tuple[Hub, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    place = bench.root / "cache"
    for name, value in {"HF_ENDPOINT": hub[1], "BENTOML_HF_CACHE_DIR": str(place)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub[1])
    template = f"{hub[1]}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    ref = HuggingFaceModel("Org/Tiny", exclude=["*.bin"]).to_info()
    service: dict[str, object] = {"name": "Reader", "service": "", "models": [ref.to_data()]}
    bento = save_bento(bench.home, bench.wheels, services=(service,))
    result = bench.make(bento)
    commit = hub[0].branches["Org/Tiny", "main"]
    snapshot = f"home/bentoml/hf-models/models--Org--Tiny/snapshots/{commit}"
    found = {path: data for _, path, data in bench.files() if path.startswith(snapshot) and data}
    assert found == {f"{snapshot}/config.json": b"first", f"{snapshot}/model.safetensors": b"w" * 300}
    assert "BENTOML_HF_CACHE_DIR=/home/bentoml/hf-models" in bench.config(result)["config"]["Env"]

    hub[0].asked.clear()
    assert bench.make(bento, offline=True).id == result.id
    assert not any("/models/" in one or "/resolve/" in one for one in hub[0].asked)
    in_container = bench.root / "container"
    bench.extract(in_container)
    monkeypatch.setenv("BENTOML_HF_CACHE_DIR", str(in_container / "home/bentoml/hf-models"))
    hub_library.pin([(ref.requested, ref.metadata)])
    try:
        folder = Path(HuggingFaceModel("Org/Tiny", exclude=["*.bin"]).path)
    finally:
        hub_library.pin([])
    assert (folder / "config.json").read_text() == "first"
    assert folder.is_relative_to(in_container)
    assert not any("/models/" in one or "/resolve/" in one for one in hub[0].asked)

    monkeypatch.setenv("BENTOML_HF_CACHE_DIR", str(place))
    weights = place / f"models--Org--Tiny/snapshots/{commit}/model.safetensors"
    os.chmod(weights.resolve(), stat.S_IRUSR | stat.S_IWUSR)
    weights.resolve().write_bytes(b"x" * 300)
    with pytest.raises(BentoMLException, match="is damaged"):
        bench.make(bento)
    shutil.rmtree(place)
    with pytest.raises(BentoMLException, match="nothing is downloaded with `--offline`"):
        bench.make(bento, offline=True)
    assert BentoStore(bench.home).users_of(ref.tag) == []


@pytest.mark.parametrize(
    ("pins", "warns"),
    [
        ("numpy==1 \\\n    --hash=sha256:0\n", True),
        ("huggingface-hub==1 \\\n    --hash=sha256:0\n", False),
        ("transformers\n", False),
    ],
    ids=["locked without", "locked with", "not locked"],
)
def test_a_bento_without_the_library(pins: str, warns: bool, caplog: pytest.LogCaptureFixture) -> None:
    hub = {"Reader": [HuggingFaceModel("org/tiny").at("a" * 40).to_info()]}
    tell_missing_library(hub, pins)
    assert ("add it to `python.packages`" in caplog.text) is warns
