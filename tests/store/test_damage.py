from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from tests.store.flips import flip, flip_unseen
from tests.store.saving import Save

from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.content import STAMP
from bentoml.store.damage import Reading
from bentoml.store.manifest import ModelInfo
from bentoml.store.models import Model, ModelStore
from bentoml.store.shelf import Shelf
from bentoml.store.tree import Entry
from bentoml.tag import Tag

FILES = {"model.pkl": "weights", "sub/config.json": "{}", "empty": ""}


def count_reads(model: Model) -> int:
    """Return how many files a check reads."""
    stamped = [Path(model.path_of(entry.path)).stat().st_mtime_ns for entry in model.tree.entries]
    return sum(time != STAMP for time in stamped)


def test_a_stored_item_is_not_read_again(save: Save) -> None:
    model = save("iris", FILES)
    assert count_reads(model) == 0
    assert Path(model.path_of("model.yaml")).stat().st_mtime_ns == STAMP
    model.check()


@pytest.mark.parametrize("file", ["model.pkl", "sub/config.json"])
def test_one_flipped_bit_stops_a_load_and_is_named(models: ModelStore, save: Save, file: str) -> None:
    model = save("iris", FILES)
    flip(model.path_of(file))
    with pytest.raises(BentoMLException) as caught:
        models.get("iris")
    assert str(caught.value) == (
        f"model `{model.tag}` is damaged: `{file}` has other content than what was stored; save it again, or delete it "
        f"with `bentoml models delete {model.tag}`"
    )
    assert [str(damage) for damage in model.damage()] == [
        f"model `{model.tag}`: `{file}` has other content than what was stored"
    ]


@pytest.mark.parametrize(
    "key", ["\ndigest: sha256:", "\nchecksum: sha256:", "\nversion: ", "\ncreation_time: '", '"sha256":"']
)
@pytest.mark.parametrize("name", ["iris", "iris:v1"])
def test_a_damaged_manifest_is_mended_by_saving(models: ModelStore, save: Save, name: str, key: str) -> None:
    model = save(name, FILES)
    manifest = Path(model.path_of("model.yaml"))
    flip(manifest, at=manifest.read_text().index(key) + len(key))
    assert "model.yaml" in [damage.path for damage in models.verify(model.tag)]
    with pytest.raises(BentoMLException, match=r"is damaged: .*model\.yaml"):
        models.get(model.tag)
    assert save(name, FILES) == model
    assert models.get(model.tag).damage() == []


def test_all_items_that_share_a_damaged_file_are_stopped(models: ModelStore, save: Save) -> None:
    one, two = save("one", {"a": "same"}), save("two", {"b": "same"})
    flip(one.path_of("a"))
    for tag, file in ((one.tag, "a"), (two.tag, "b")):
        with pytest.raises(BentoMLException, match=f"`{file}` has other content"):
            models.get(tag)


def test_a_damaged_blob_is_never_given_to_a_new_item(models: ModelStore, save: Save) -> None:
    one = save("one", {"a": "same"})
    flip(one.path_of("a"))
    two = save("two", {"b": "same"})
    assert Path(models.get("two").path_of("b")).read_text() == "same"
    assert not os.path.samefile(one.path_of("a"), two.path_of("b"))
    again = save("one", {"a": "same"})
    assert models.get("one") == again and os.path.samefile(again.path_of("a"), two.path_of("b"))


@pytest.mark.parametrize(
    ("mode", "change", "what"),
    [
        (0o644, 0o100, "can be executed, which it could not when it was stored"),
        (0o755, 0o111, "cannot be executed, which it could when it was stored"),
    ],
    ids=["gained", "lost"],
)
def test_an_executable_bit_that_changed_is_named_and_mended_by_saving(
    models: ModelStore, mode: int, change: int, what: str
) -> None:
    def save() -> Model:
        with models.create("iris:v1") as model:
            Path(model.path_of("run.sh")).write_text("exit")
            Path(model.path_of("run.sh")).chmod(mode)
        return model

    file = Path(save().path_of("run.sh"))
    file.chmod(file.stat().st_mode ^ change)
    assert [str(damage) for damage in models.verify()] == [f"model `iris:v1`: `run.sh` {what}"]
    models.get("iris").check()  # its bytes are what was stored, and that a copy kept no modes stops nobody
    other = save()
    assert (models.verify(), bool(file.stat().st_mode & 0o100)) == ([], mode == 0o755)
    assert other.digest == models.get("iris").digest


def test_what_the_time_does_not_tell_is_found_by_reading(models: ModelStore, save: Save) -> None:
    model = save("iris", FILES)
    flip_unseen(model.path_of("model.pkl"))
    assert models.get("iris") == model
    assert [damage.path for damage in model.damage()] == ["model.pkl"]
    for check in (
        lambda: model.check(thoroughly=True),
        lambda: models.get("iris"),
    ):  # once it is known, it stops a load
        with pytest.raises(BentoMLException, match=r"`model\.pkl` has other content"):
            check()
    assert save("iris", FILES) == models.get("iris")


def by_copytree(home: Path, target: Path) -> None:
    shutil.copytree(home, target, copy_function=shutil.copyfile)


def by_cp(home: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", home, target], check=True)


def by_cp_with_times(home: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", home, target], check=True)


def by_tar_of_seconds(home: Path, target: Path) -> None:
    with tarfile.open(target.with_suffix(".tar"), "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(home, arcname="")
    with tarfile.open(target.with_suffix(".tar")) as tar:
        tar.extractall(target, filter="fully_trusted")


def by_an_image(home: Path, target: Path) -> None:
    """All files get one time, as in the layer of an image."""
    by_copytree(home, target)
    for file in target.rglob("*"):
        os.utime(file, (0, 0))


COPIES = [by_copytree, by_cp, by_cp_with_times, by_tar_of_seconds, by_an_image]


@pytest.mark.parametrize("copy", COPIES)
def test_a_copied_store_works(
    home: Home, save: Save, tmp_path: Path, copy: Callable[[Path, Path], None]
) -> None:
    save("iris", FILES)
    copy(home.root, tmp_path / "copy")
    store = ModelStore(Home(tmp_path / "copy"))
    model = store.get("iris")
    store.get("iris")
    if copy is not by_an_image:
        assert count_reads(model) == 0, "what was found whole is not read again"
    flip(model.path_of("model.pkl"))
    with pytest.raises(BentoMLException, match=r"`model\.pkl` has other content"):
        store.get("iris")


@pytest.mark.parametrize("copy", COPIES)
def test_a_bit_that_flips_before_the_copy_is_found_after_it(
    home: Home, save: Save, tmp_path: Path, copy: Callable[[Path, Path], None]
) -> None:
    flip(save("iris", FILES).path_of("model.pkl"))
    copy(home.root, tmp_path / "copy")
    model = ModelStore(Home(tmp_path / "copy")).list()[0]
    assert [damage.path for damage in model.damage()] == ["model.pkl"]
    if copy is not by_an_image:  # which no damaged item gets into
        with pytest.raises(BentoMLException, match=r"`model\.pkl` has other content"):
            model.check()


def test_many_damaged_files_are_counted_in_a_message(save: Save) -> None:
    model = save("iris", {f"part-{number:02}": str(number) for number in range(30)})
    for entry in model.tree.entries:
        flip(model.path_of(entry.path))
    with pytest.raises(
        BentoMLException, match=r"`part-19` has other content.*, and 10 more files; save it again"
    ):
        model.check()
    assert len(model.damage()) == 30


def test_a_reading_reads_a_shared_file_once(save: Save) -> None:
    models = [save(name, {"w": "x" * 1000}) for name in ("one", "two", "three")]
    with Reading() as reading:
        assert [model.damage(reading) for model in models] == [[], [], []]
        assert reading.size == 1000


def test_a_file_that_cannot_be_read_is_named(save: Save) -> None:
    model = save("iris", {"a/b": "x"})
    file = Path(model.path_of("a/b"))
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("in the way")
    assert [(damage.path, damage.what) for damage in model.damage()] == [("a/b", "is missing")]


@pytest.mark.parametrize("content", [b"v9", b"", b"\xff", b"v1 v2"], ids=repr)
def test_a_pointer_to_the_latest_that_is_wrong(
    models: ModelStore, save: Save, home: Home, content: bytes
) -> None:
    model = save("iris:v1", FILES)
    save("rose:v1", FILES)
    (home.models / "iris/latest").write_bytes(content)
    assert models.get("iris") == model, "the newest is meant"
    for tag in ("iris", "iris:v1", None):
        assert [str(damage) for damage in models.verify(tag)] == [
            "model `iris`: `latest` names no version that is there"
        ]
    assert models.verify("rose") == []
    save("iris:v1", FILES)
    assert models.verify() == []


OLD = """\
name: old
version: v1
module: ''
labels: {stage: prod}
signatures: {}
api_version: v1
creation_time: '2024-04-25T06:52:39+00:00'
"""


@pytest.fixture
def old(home: Home) -> Path:
    """A model as BentoML 1.x leaves it."""
    folder = home.models / "old" / "v1"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(OLD.rstrip("\n"))
    (folder / "w").write_text("weights")
    return folder


def test_an_old_item_gets_its_digest_when_it_is_verified_first(models: ModelStore, old: Path) -> None:
    before = models.get("old")
    assert before.info.digest is None
    assert models.verify("old") == []
    after = models.get("old")
    assert (after.info.digest, after.info.files) == (before.digest, before.tree)
    assert (old / "model.yaml").read_text().startswith(OLD + "digest: sha256:")
    assert after.info.labels == {"stage": "prod"}
    flip(old / "w")
    with pytest.raises(BentoMLException, match="`w` has other content"):
        models.get("old")
    assert [damage.path for damage in models.verify()] == ["w"]


@pytest.mark.parametrize("form", ["{%s}", "%s\n...\n", "---\n%s\n"], ids=["flow", "end", "begin"])
def test_an_old_manifest_of_another_form_is_never_broken(models: ModelStore, old: Path, form: str) -> None:
    lines = [line.replace(": ''", ": ' '") for line in OLD.splitlines()]
    text = form % (", " if "{" in form else "\n").join(lines)
    (old / "model.yaml").write_text(text)
    assert models.verify("old") == []
    assert models.get("old").info.labels == {"stage": "prod"}


def test_an_old_item_that_can_have_no_digest(models: ModelStore, old: Path) -> None:
    (old / "link").symlink_to("/etc/hostname")
    (damage,) = models.verify("old")
    assert (damage.path, damage.what.partition(":")[0]) == (".", "has no digest and can get none")


def test_a_file_is_not_damaged_because_another_name_of_it_is_gone(save: Save, models: ModelStore) -> None:
    model = save("iris", {"w": "1"})
    (entry,) = model.tree.entries
    with Reading() as reading:
        gone = reading.begin(model.path_of("gone"), os.lstat(model.path_of("w")), entry)
        assert gone.result() is not None, (
            "as if an item with the same file had been deleted before it was read"
        )
        assert models.verify(reading=reading) == []


def test_what_somebody_put_there_is_named_but_stops_nothing(save: Save, models: ModelStore) -> None:
    model = save("iris", {"w": "1", "sub/x": "2"})
    Path(model.path_of("sub/evil.py")).write_text("import this")
    Path(model.path_of("more")).symlink_to("sub")
    cache = Path(model.path_of("sub/__pycache__/x.cpython-313.pyc"))
    cache.parent.mkdir()
    cache.write_text("of Python")
    assert [(damage.path, damage.what) for damage in models.verify()] == [
        ("more", "is not one of the files that were stored"),
        ("sub/evil.py", "is not one of the files that were stored"),
    ]
    models.get(model.tag).check()


def test_what_is_deleted_before_its_turn_is_not_damaged(home: Home) -> None:
    with Reading() as reading:
        assert Shelf(home, ModelInfo, home.models).verify(Tag("iris", "gone"), reading) == []


@pytest.mark.parametrize("again", [False, True])
def test_what_is_deleted_or_stored_anew_meanwhile_is_not_damaged(
    save: Save, models: ModelStore, again: bool
) -> None:
    model = save("iris:v1", {"v": "1", "w": "2"})
    done: list[str] = []

    class Meanwhile(Reading):
        """While the first file is read, somebody deletes the item, and perhaps stores another one under its tag."""

        def begin(self, file: str, found: os.stat_result, entry: Entry) -> Future[str | None]:
            if not done:
                done.append(file)
                models.delete(model.tag)
                if again:
                    save("iris:v1", {"x": "3"})
            return super().begin(file, found, entry)

    with Meanwhile() as reading:
        assert models.verify(reading=reading) == []
    assert done
