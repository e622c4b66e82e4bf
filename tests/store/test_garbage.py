from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.store.saving import Save

from bentoml import Tag
from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.garbage import Piece, collect, find_garbage
from bentoml.store.locks import locked
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import Model, ModelStore
from bentoml.store.staging import Staging

DAYS = 3 * 24 * 60 * 60


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def bento_of(home: Home, *models: Model) -> Bento:
    with BentoStore(home).create("shop") as draft:
        (draft.path / "service.py").write_text("code")
        draft.info = BentoInfo(tag=Tag("shop"), models=tuple(ModelRef.of(model.info) for model in models))
    return draft.saved


def orphan(home: Home, size: int = 100) -> Path:
    """Leave a blob that no item has, as a process leaves it that is killed while it publishes."""
    blob = home.blobs / "sha256" / "ab" / ("ab" * 32)
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(b"x" * size)
    return blob


def abandon(home: Home, *files: tuple[str, int], lock: bool = True) -> Path:
    """Leave a staging folder whose process is dead."""
    folder = home.staging / "dead"
    folder.mkdir(parents=True)
    for name, size in files:
        (folder / name).write_bytes(b"x" * size)
    if lock:
        folder.with_suffix(".lock").touch()
    return folder


def test_a_store_that_is_clean_or_not_there(home: Home, temporary: Path, save: Save) -> None:
    assert find_garbage(home, temporary=temporary, unused_models=True) == []
    assert collect(home, temporary=temporary) == []
    assert not home.root.exists()
    save("iris", {"w": "1"})
    before = everything(home.root)
    assert find_garbage(home, temporary=temporary) == collect(home, temporary=temporary) == []
    assert everything(home.root) == before


@pytest.mark.parametrize("lock", [True, False])
def test_what_the_dead_left(home: Home, temporary: Path, save: Save, lock: bool) -> None:
    model = save("iris:v1", {"w": "1"})
    orphan(home, 100)
    abandon(home, ("a", 30), ("b", 4), lock=lock)
    (home.blobs / "sha256" / "ab" / ".0123").write_bytes(b"xx")
    found = find_garbage(home, temporary=temporary)
    assert {(piece.kind, piece.size) for piece in found} == {("staging", 34), ("blob", 100), ("blob", 2)}
    assert collect(home, temporary=temporary) == found
    assert find_garbage(home, temporary=temporary) == []
    assert list(home.staging.iterdir()) == []
    assert ModelStore(home).get("iris:v1") == model and model.damage() == []


def test_a_dry_run_changes_nothing(home: Home, temporary: Path, save: Save) -> None:
    save("iris:v1", {"w": "1"})
    ModelStore(home).set_alias("iris@prod", "iris:v1")
    (home.aliases / "models/iris/prod").write_text("gone")
    orphan(home)
    abandon(home, ("a", 1))
    before = everything(home.root)
    assert len(find_garbage(home, temporary=temporary, unused_models=True)) == 4
    assert everything(home.root) == before


def test_a_blob_of_an_abandoned_folder_is_counted_once(home: Home, temporary: Path) -> None:
    folder = abandon(home, ("a", 50))
    blob = orphan(home)
    blob.unlink()
    os.link(folder / "a", blob)
    found = find_garbage(home, temporary=temporary)
    assert [(piece.kind, piece.size) for piece in found] == [("staging", 50)]
    collect(home, temporary=temporary)
    assert not blob.exists()


def test_what_a_living_process_has_is_left_alone(home: Home, temporary: Path, save: Save) -> None:
    with Staging(home).folder() as folder, ModelStore(home).create("iris") as draft:
        (folder / "mine").write_text("x")
        Path(draft.path, "w").write_text("half")
        abandon(home, ("a", 1))
        assert [piece.kind for piece in collect(home, temporary=temporary)] == ["staging"]
        assert (folder / "mine").read_text() == "x"
    assert ModelStore(home).get("iris").damage() == []


def test_dangling_aliases(home: Home, temporary: Path, save: Save) -> None:
    save("iris:v1", {"w": "1"})
    models = ModelStore(home)
    for alias in ("iris@kept", "iris@prod"):
        models.set_alias(alias, "iris:v1")
    (home.aliases / "models/iris/prod").write_text("gone")
    assert collect(home, temporary=temporary) == [Piece("alias", "iris@prod", 0)]
    assert [str(alias) for alias in models.aliases()] == ["iris@kept"]
    assert [move.after for move in models.alias_log("iris@prod")] == ["v1", None]


def test_names_without_a_version_and_files_half_written(home: Home, temporary: Path, save: Save) -> None:
    save("iris:v1", {"w": "1"})
    models = ModelStore(home)
    models.set_alias("iris@prod", "iris:v1")
    empty, theirs = home.models / "empty", home.models / "theirs"
    for folder in (empty, theirs):
        folder.mkdir()
        (folder / "latest").write_text("v1")
    (theirs / "notes.txt").write_text("mine")
    drafts = [
        home.models / "iris/.latest.0123456789ab",
        home.aliases / "models/iris/.prod.0123456789ab",
        home.root / "received/.aa.0123456789ab",
    ]
    for draft in drafts:
        draft.parent.mkdir(exist_ok=True)
        draft.write_text("v")
    found = collect(home, temporary=temporary)
    assert {piece.name for piece in found} == {
        "models/empty", "models/iris/.latest.0123456789ab", "aliases/models/iris/.prod.0123456789ab",
        "received/.aa.0123456789ab",
    }  # fmt: skip
    assert not empty.exists() and not any(draft.exists() for draft in drafts)
    assert (theirs / "notes.txt").read_text() == "mine"
    assert models.get("iris@prod").tag == Tag("iris", "v1") and len(models.alias_log("iris@prod")) == 1


def test_temporary_folders_of_builds(home: Home, temporary: Path) -> None:
    old = time.time() - DAYS
    names = (
        "bentoml-lock-old",
        "bentoml-lock-new",
        "bentoml-lock-used",
        "bentoml-metrics-old",
        "somebody-else",
    )
    for name in names:
        (temporary / name).mkdir()
        (temporary / name / "f").write_bytes(b"123")
        for path in (temporary / name / "f", temporary / name):
            os.utime(path, (old, old))
    os.utime(temporary / "bentoml-lock-new")
    os.utime(temporary / "bentoml-lock-used" / "f")
    (temporary / "bentoml-lock-link").symlink_to(temporary / "somebody-else")
    assert collect(home, temporary=temporary) == [Piece("temporary", str(temporary / "bentoml-lock-old"), 3)]
    assert sorted(path.name for path in temporary.iterdir()) == sorted(
        {*names, "bentoml-lock-link"} - {names[0]}
    )


def download(home: Home, name: str, days: float) -> Path:
    """Leave what has arrived of a blob, so long ago."""
    home.downloads.mkdir(parents=True, exist_ok=True)
    file = home.downloads / name
    file.write_bytes(b"x" * 100)
    when = time.time() - days * 24 * 3600
    os.utime(file, (when, when))
    return file


def test_downloads_that_nobody_came_back_for(home: Home, temporary: Path) -> None:
    old, young, held = download(home, "aa", 8), download(home, "bb", 6), download(home, "cc", 8)
    with locked(held):
        assert find_garbage(home, temporary=temporary) == [Piece("download", "aa", 100)]
        assert collect(home, temporary=temporary) == [Piece("download", "aa", 100)]
    assert (old.exists(), young.exists(), held.exists()) == (False, True, True)


def test_caches_on_request(home: Home, temporary: Path, save: Save) -> None:
    model = save("iris", {"w": "1"})
    for path, size in {"oci/blobs/aa": 1000, "wheels/bb/x.whl": 200, "registry/memory/cc": 30}.items():
        file = home.cache / path
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * size)
    old = download(home, "dd", 8)
    (home.cache / "elsewhere").symlink_to(temporary)
    assert find_garbage(home, temporary=temporary) == [Piece("download", "dd", 100)]
    expected = [
        Piece("cache", "cache/oci", 1000),
        Piece("cache", "cache/registry", 130),
        Piece("cache", "cache/wheels", 200),
    ]
    with locked(old):
        assert find_garbage(home, temporary=temporary, caches=True) == [expected[0], expected[2]]
    assert find_garbage(home, temporary=temporary, caches=True) == expected
    assert collect(home, temporary=temporary, caches=True) == expected
    assert os.listdir(home.cache) == ["elsewhere"]
    assert temporary.is_dir()
    assert find_garbage(home, temporary=temporary, caches=True) == []
    assert ModelStore(home).get("iris") == model


def test_a_cache_that_was_being_removed_is_removed_later(home: Home, temporary: Path) -> None:
    left = home.cache / ".oci.0123456789ab"
    left.mkdir(parents=True)
    (left / "blob").write_bytes(b"x")
    assert collect(home, temporary=temporary) == [Piece("leftover", "cache/.oci.0123456789ab", 1)]
    assert not left.exists()


def test_unused_models_on_request(home: Home, temporary: Path, save: Save) -> None:
    needed = save("needed", {"w": "shared" * 100, "own": "1"})
    named, unused = save("named", {"w": "named"}), save("unused", {"w": "shared" * 100, "own": "unused" * 10})
    bento_of(home, needed)
    models = ModelStore(home)
    models.set_alias("named@prod", named.tag)
    (found,) = find_garbage(home, temporary=temporary, unused_models=True)
    manifest = Path(unused.path_of("model.yaml")).stat().st_size
    assert found == Piece("model", str(unused.tag), manifest + 60)
    assert find_garbage(home, temporary=temporary) == []
    assert collect(home, temporary=temporary, unused_models=True) == [found]
    assert set(models.list()) == {needed, named}
    assert models.get("needed").damage() == []


def test_what_a_damaged_bento_needs_is_not_known(home: Home, temporary: Path, save: Save) -> None:
    model = save("iris", {"w": "1"})
    bento = bento_of(home, model)
    manifest = Path(bento.path_of("bento.yaml"))
    manifest.chmod(0o644)
    manifest.write_text("nothing")
    with pytest.raises(BentoMLException, match=f"bento `{bento.tag}` is damaged"):
        collect(home, temporary=temporary, unused_models=True)
    assert ModelStore(home).list() == [model]
    assert collect(home, temporary=temporary) == []


def test_a_store_without_hard_links_has_no_blobs_to_sweep(home: Home, temporary: Path, save: Save) -> None:
    """As a copy of a store, whose blobs nobody shares: they go, the items stay."""
    model = save("iris:v1", {"w": "weights"})
    file = Path(model.path_of("w"))
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data)
    (found,) = collect(home, temporary=temporary)
    assert (found.kind, found.size) == ("blob", 7)
    assert ModelStore(home).get("iris:v1").damage() == []


def test_files_that_a_cache_never_got_whole(home: Home, temporary: Path) -> None:
    memory = home.cache / "registry" / "memory"
    memory.mkdir(parents=True)
    for name in ("a.json", ".old.json.0123456789ab", ".new.json.0123456789ab"):
        (memory / name).write_text("x")
    os.utime(memory / ".old.json.0123456789ab", (time.time() - 4000,) * 2)
    os.utime(memory / "a.json", (time.time() - 4000,) * 2)
    assert collect(home, temporary=temporary) == [
        Piece("leftover", "cache/registry/memory/.old.json.0123456789ab", 1)
    ]
    assert sorted(os.listdir(memory)) == [".new.json.0123456789ab", "a.json"]
    assert collect(home, temporary=temporary) == []
