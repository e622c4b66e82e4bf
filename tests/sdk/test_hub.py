"""Models on Hugging Face: which commit they are, and what is asked of the hub for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hub import Hub, serving

import bentoml
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.models import HuggingFaceModel
from bentoml.sdk import hub as hub_library

FILES = {
    "config.json": b"{}",
    "sub/merges.txt": b"a b",
    "model.safetensors": b"w" * 200,
    "old.bin": b"o" * 99,
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the model `org/tiny`, which is asked instead of the real one; its cache is empty."""
    hub = Hub()
    hub.commit("org/tiny", FILES)
    with serving(hub) as url:
        for name, value in {"HF_ENDPOINT": url, "BENTOML_HF_CACHE_DIR": str(tmp_path / "cache")}.items():
            monkeypatch.setenv(name, value)
        constants = "huggingface_hub.constants"  # read from the environment once, when the library is loaded
        monkeypatch.setattr(f"{constants}.ENDPOINT", url)
        template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield hub
        hub_library.pin([])


def asked(hub: Hub) -> list[str]:
    """Return what was asked since the last time, but for what the library reports of itself."""
    found = [one for one in hub.asked if "/resolve/" in one or "/models/" in one or "/lfs/" in one]
    hub.asked.clear()
    return found


def names(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def test_a_model_is_its_folder(hub: Hub) -> None:
    class Reader:
        model = HuggingFaceModel("org/tiny")

    assert isinstance(Reader.model, HuggingFaceModel)
    assert Reader.model.commit_hash == hub.branches["org/tiny", "main"]
    assert names(Reader().model) == sorted(FILES)
    assert Path(Reader().model, "model.safetensors").read_bytes() == b"w" * 200
    assert Path(Reader().model).name == Reader.model.commit_hash
    assert HuggingFaceModel("org/tiny").resolve() == Reader().model


def test_patterns_choose_files(hub: Hub) -> None:
    model = HuggingFaceModel("org/tiny", include=["*.json", "*.txt", "*.bin"], exclude=["old.*"])
    assert names(model.path) == ["config.json", "sub/merges.txt"]
    assert sorted(path.rpartition("/")[2] for path in model.files()) == [
        f"{model.commit_hash}.json",  # the list of all, by which the library tells what is missing
        "config.json",
        "merges.txt",
    ]
    everything = HuggingFaceModel("org/tiny")
    assert names(everything.path) == sorted(FILES)  # in the same folder: it is one commit
    assert len(model.files()) == 3


def test_a_cached_commit_needs_no_connection(hub: Hub) -> None:
    commit = HuggingFaceModel("org/tiny").commit_hash
    assert HuggingFaceModel("org/tiny", commit, include=["*.json"]).path
    assert asked(hub)
    assert HuggingFaceModel("org/tiny", commit, include=["*.json"]).path
    assert asked(hub) == []
    assert len(names(HuggingFaceModel("org/tiny", commit).path)) == 4  # what is there is not all of it
    assert asked(hub)
    assert HuggingFaceModel("org/tiny", commit).path
    assert asked(hub) == []


def test_a_branch_moves_and_a_commit_does_not(hub: Hub) -> None:
    before = hub.branches["org/tiny", "main"]
    after = hub.commit("org/tiny", {"config.json": b"[2]"})
    assert Path(HuggingFaceModel("org/tiny").path, "config.json").read_text() == "[2]"
    assert HuggingFaceModel("org/tiny").commit_hash == after
    assert Path(HuggingFaceModel("org/tiny", before).path, "config.json").read_text() == "{}"


def test_without_the_hub_the_cache_answers(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    known = HuggingFaceModel("org/tiny").path
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody is there
    assert HuggingFaceModel("org/tiny").path == known
    assert HuggingFaceModel("org/tiny").current_commit(offline=True) == Path(known).name
    with pytest.raises(BentoMLException, match=r"model `org/other` .* cannot be fetched"):
        _ = HuggingFaceModel("org/other").path
    with pytest.raises(BentoMLException, match="nothing is downloaded with `--offline`"):
        HuggingFaceModel("org/other", "0" * 40).resolve(offline=True)


def test_what_is_not_there(hub: Hub) -> None:
    with pytest.raises(NotFound, match=r"`org/none` .* is not on the hub, or not for everybody.*HF_TOKEN"):
        _ = HuggingFaceModel("org/none").path
    with pytest.raises(NotFound, match="`v9` is not on the hub: it has no such revision"):
        _ = HuggingFaceModel("org/tiny", "v9").commit_hash
    with pytest.raises(NotFound, match="is not the name of a model"):
        _ = HuggingFaceModel("a b/c d").commit_hash


def test_a_gated_model_asks_for_a_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.tokens.add("let-me-in")
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(NotFound, match="is gated: accept its conditions on the hub, and set `HF_TOKEN`"):
        _ = HuggingFaceModel("org/tiny").path
    monkeypatch.setenv("HF_TOKEN", "let-me-in")
    assert names(HuggingFaceModel("org/tiny").path) == sorted(FILES)


def test_what_a_bento_says_of_it(hub: Hub) -> None:
    model = HuggingFaceModel("org/tiny", endpoint="http://127.0.0.1:9", include=["*.json"]).at("a" * 40)
    metadata = {
        "model_id": "org/tiny",
        "revision": "a" * 40,
        "endpoint": "http://127.0.0.1:9",
        "include": ["*.json"],
        "exclude": None,
    }
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
    ref = model.to_info()
    assert str(ref.tag) == f"org--tiny:{hashlib.md5(text.encode()).hexdigest()}"
    assert (ref.registry, ref.requested, ref.metadata) == ("huggingface", "main", metadata)
    assert HuggingFaceModel.from_info(ref).commit_hash == "a" * 40


def test_the_tag_is_that_of_bentoml() -> None:
    endpoint = "http://127.0.0.1:35299"
    commit = "e2a49e4457125a3963f5275bcd3826c81ad18c85"
    ref = HuggingFaceModel("Org/Tiny-Model", endpoint=endpoint).at(commit).to_info()  # seen with 1.4.39
    assert str(ref.tag) == "org--tiny-model:751f6d7d329d849cea710a43acb02341"
    assert ref.metadata["model_id"] == "Org/Tiny-Model"


def test_a_bento_means_what_it_was_built_with(hub: Hub) -> None:
    built = HuggingFaceModel("org/tiny").at(hub.branches["org/tiny", "main"]).to_info()
    other = (
        HuggingFaceModel("org/tiny", "dev").at(hub.commit("org/tiny", FILES | {"new": b""}, "dev")).to_info()
    )
    hub.commit("org/tiny", {"config.json": b"[2]"})
    hub_library.pin((ref.requested, ref.metadata) for ref in (built, other))
    assert HuggingFaceModel("org/tiny").commit_hash == built.metadata["revision"]
    assert HuggingFaceModel("org/tiny", "dev").commit_hash == other.metadata["revision"]
    assert Path(HuggingFaceModel("org/tiny").path, "config.json").read_text() == "{}"
    assert HuggingFaceModel("org/tiny", include=["*.json"]).commit_hash not in (
        built.metadata["revision"],
        other.metadata["revision"],
    )


def test_a_reference_is_a_value() -> None:
    assert HuggingFaceModel("org/tiny") == HuggingFaceModel("org/tiny") != HuggingFaceModel("org/tiny", "v1")
    assert (
        len({HuggingFaceModel("org/tiny", include=["a"]), HuggingFaceModel("org/tiny", include=["a"])}) == 1
    )
    with pytest.raises(AttributeError):
        HuggingFaceModel("org/tiny").revision = "v1"  # type: ignore[misc]  # it is frozen
    assert bentoml.models.HuggingFaceModel is HuggingFaceModel
