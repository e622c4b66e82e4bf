"""A store whose models lie on a disk of their own, as people mount or link one there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.saving import Save

from bentoml import Tag
from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.exporting import export
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.content import STAMP
from bentoml.store.garbage import collect, find_garbage
from bentoml.store.models import Model, ModelStore


@pytest.fixture
def disk(home: Home) -> Iterator[Path]:
    """Another file system, to which the folder of the models leads."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    home.root.mkdir()
    assert folder.stat().st_dev != home.root.stat().st_dev
    home.models.symlink_to(folder)
    yield folder
    shutil.rmtree(folder)


def hidden(folder: Path) -> list[str]:
    """Return what is no item."""
    return [name for name in os.listdir(folder) if name.startswith(".")]


def test_saving_finding_and_deleting(disk: Path, home: Home, models: ModelStore, save: Save) -> None:
    first, second = save("iris", {"w": "1", "sub/x": "2"}), save("iris", {"w": "2"})
    assert save("iris", {"w": "1", "sub/x": "2"}).tag == first.tag
    assert {model.tag for model in models.list()} == {first.tag, second.tag}
    assert Path(first.path_of("w")).stat().st_mtime_ns == STAMP
    assert Path(first.path_of("w")).stat().st_mode & 0o777 == 0o444
    assert models.verify() == []
    models.delete(first.tag)
    assert models.list() == [second]
    models.delete(second.tag)
    assert os.listdir(disk) == [], "BentoML lists nothing where there is a folder that it does not know"
    assert list(home.staging.iterdir()) == []


def test_a_damaged_one_is_mended(disk: Path, models: ModelStore, save: Save) -> None:
    model = save("iris", {"w": "1"})
    Path(model.path_of("w")).chmod(0o644)
    Path(model.path_of("w")).write_text("2")
    assert save("iris", {"w": "1"}) == model
    assert models.verify() == []
    assert hidden(disk) == []


def test_an_error_leaves_nothing(disk: Path, save: Save) -> None:
    save("iris:v1", {"w": "1"})
    with pytest.raises(Exception, match="exists with other content"):
        save("iris:v1", {"w": "2"})
    assert hidden(disk) == []


def test_archives(disk: Path, home: Home, models: ModelStore, save: Save, tmp_path: Path) -> None:
    model = save("iris", {"w": "1"})
    path = export(model, open_place(tmp_path / "x.tar"))
    models.delete(model.tag)
    (received,) = import_item(Model, open_place(path), home=home)
    assert received.item == model
    assert models.verify() == []


def test_a_store_that_was_moved_there(home: Home, models: ModelStore, save: Save, tmp_path: Path) -> None:
    """Its files are no longer those of the blobs, which nobody needs now."""
    model = save("iris", {"w": "1"})
    folder = Path(tempfile.mkdtemp(dir="/dev/shm")) / "models"
    try:
        shutil.copytree(home.models, folder)
        shutil.rmtree(home.models)
        home.models.symlink_to(folder)
        assert models.list() == [model]
        models.delete(model.tag)
        assert not [path for path in home.blobs.rglob("*") if path.is_file()]
    finally:
        shutil.rmtree(folder.parent)


def test_what_the_dead_left_is_collected(disk: Path, home: Home, save: Save, tmp_path: Path) -> None:
    model = save("iris", {"w": "1"})
    left = disk / ".staging" / "dead"
    left.mkdir(parents=True)
    (left / "w").write_bytes(b"x" * 10)
    left.with_suffix(".lock").touch()
    (disk / "rose").mkdir()
    assert [(piece.kind, piece.name, piece.size) for piece in find_garbage(home, temporary=tmp_path)] == [
        ("staging", "dead", 10),
        ("leftover", "models/rose", 0),
    ]
    collect(home, temporary=tmp_path)
    assert find_garbage(home, temporary=tmp_path) == []
    assert (hidden(disk), (disk / "rose").exists()) == ([], False)
    assert ModelStore(home).list() == [model]


@pytest.fixture
def one_disk(home: Home) -> Iterator[Path]:
    """Another file system, to which the folder of one model leads."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    home.models.mkdir(parents=True)
    (home.models / "big").symlink_to(folder)
    yield folder
    shutil.rmtree(folder)


def test_a_single_name_on_a_disk_of_its_own(
    one_disk: Path, home: Home, models: ModelStore, save: Save, tmp_path: Path
) -> None:
    first, second = save("big:v1", {"w": "1"}), save("big:v2", {"w": "2"})
    save("small", {"w": "1"})
    assert save("big:v1", {"w": "1"}) == first
    assert sorted(os.listdir(one_disk)) == ["latest", "v1", "v2"]
    path = export(second, open_place(tmp_path / "x.tar"))
    assert import_item(Model, open_place(path), home=home)[0].item == second
    assert models.verify() == []
    with pytest.raises(BentoMLException, match=r"is a link to .* remove the link"):
        models.delete("big:v2")
    assert models.get("big:v2") == second
    assert find_garbage(home, temporary=tmp_path) == []


def test_what_the_dead_left_beside_a_single_name(
    one_disk: Path, home: Home, save: Save, tmp_path: Path
) -> None:
    model = save("big:v1", {"w": "1"})
    left = one_disk / ".staging" / "dead"
    left.mkdir(parents=True)
    (left / "w").write_bytes(b"x" * 10)
    left.with_suffix(".lock").touch()
    assert ModelStore(home).list() == [model]
    collect(home, temporary=tmp_path)
    assert sorted(os.listdir(one_disk)) == ["latest", "v1"]


@pytest.mark.engine  # needs the right to mount
def test_a_disk_that_is_mounted_for_a_single_name(
    home: Home, models: ModelStore, save: Save, tmp_path: Path
) -> None:
    folder = home.models / "big"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        save("big:v1", {"w": "1"})
        assert models.delete("big:v1").tag == Tag("big", "v1")
        assert (os.listdir(folder), models.list()) == ([], [])
        assert collect(home, temporary=tmp_path) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)
