from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.store.saving import Save

from bentoml import Tag
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound
from bentoml.store.manifest import ModelContext
from bentoml.store.models import Model, ModelStore
from bentoml.store.scan import scan

FILES = {"model.pkl": "weights", "sub/config.json": "{}"}

OLD = """\
name: old
version: {version}
module: bentoml.sklearn
labels: {{}}
options: {{}}
metadata: {{}}
context: {{framework_name: sklearn, framework_versions: {{}}, bentoml_version: 1.4.39, python_version: 3.11.5}}
signatures: {{}}
api_version: v1
creation_time: '{time}'
"""


def everything(home: Home) -> list[str]:
    return sorted(
        str(p.relative_to(home.root)) for p in home.root.rglob("*") if p.is_file() and p.name != "store.lock"
    )


def used(home: Home) -> int:
    return sum({(s := p.lstat()).st_ino: s.st_blocks for p in home.root.rglob("*")}.values())


def old_model(home: Home, version: str, time: str = "2024-04-25T06:52:39+00:00") -> Path:
    """Make a model as BentoML 1.x leaves it."""
    folder = home.models / "old" / version
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(OLD.format(version=version, time=time))
    (folder / "saved_model.pkl").write_text("weights")
    return folder


# -- saving


def test_what_is_saved_is_read_back(models: ModelStore, home: Home, save: Save) -> None:
    saved = save(
        "Iris",
        FILES,
        labels={"stage": "prod"},
        metadata={"acc": 0.9},
        options={"x": 1},
        signatures={"predict": {"batchable": True}},
        module="bentoml.sklearn",
        context=ModelContext("sklearn", {"scikit-learn": "1.6"}),
    )
    model = models.get("iris")
    assert model == saved and model is not saved and hash(model) == hash(saved)
    assert model.info == saved.info
    assert model.path == saved.path == str(home.models / "iris" / str(saved.tag.version))
    assert Path(model.path_of("sub/config.json")).read_text() == "{}"
    assert (model.info.labels, model.info.metadata, model.info.options) == (
        {"stage": "prod"},
        {"acc": 0.9},
        {"x": 1},
    )
    assert model.info.signatures == {"predict": {"batchable": True, "batch_dim": [0, 0]}}
    assert abs(datetime.now(UTC) - model.creation_time) < timedelta(minutes=1)
    assert model.file_size == sum(p.stat().st_size for p in Path(model.path).rglob("*") if p.is_file())
    assert str(model) == f'Model(tag="{model.tag}")'
    assert repr(model) == f'Model(tag="{model.tag}", path="{model.path}")'
    assert model.tree == scan(Path(model.path), skip="model.yaml")
    assert model.digest.version() == model.tag.version


def test_during_the_block_the_model_is_a_draft(models: ModelStore, home: Home) -> None:
    with models.create("iris", custom_objects={"f": 1}) as model:
        assert isinstance(model.path, str) and isinstance(model.path_of("x"), str)
        assert home.staging in Path(model.path).parents
        assert Path(model.path_of("x")).parent == Path(model.path)
        assert model.tag == Tag("iris")
        assert model.custom_objects == {"f": 1}
        assert model.tree.size() == 0
        Path(model.path_of("w")).touch()
        model.info.metadata["found"] = "later"
        assert models.list() == []
    assert models.get("iris").info.metadata == {"found": "later"}
    assert model.path == models.get("iris").path
    assert [entry.path for entry in model.tree.entries] == ["custom_objects.pkl", "w"]


def test_the_same_again_is_the_same_item_and_takes_no_room(
    models: ModelStore, home: Home, save: Save
) -> None:
    first = save("iris", FILES, custom_objects={"f": {"x": 1}})
    before, created = used(home), first.creation_time
    again = save("iris", dict(reversed(FILES.items())), custom_objects={"f": {"x": 1}})
    assert (again.tag, again.creation_time) == (first.tag, created)
    assert used(home) == before
    assert len(models.list()) == 1


def test_another_declaration_or_content_is_another_version(save: Save) -> None:
    tags = {
        save("iris", FILES).tag,
        save("iris", FILES, labels={"a": "b"}).tag,
        save("iris", {**FILES, "model.pkl": "other"}).tag,
        save("iris", {**FILES, "more": ""}).tag,
        save("rose", FILES).tag,
    }
    assert len(tags) == 5


def test_equal_files_of_different_models_are_one_file(home: Home, save: Save) -> None:
    one, two = save("one", {"a": "same bytes"}), save("two", {"b": "same bytes", "c": "same bytes"})
    assert os.path.samefile(one.path_of("a"), two.path_of("b")) and os.path.samefile(
        two.path_of("b"), two.path_of("c")
    )
    assert len([p for p in home.blobs.rglob("*") if p.is_file()]) == 1


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_stored_files_are_read_only_whatever_the_umask_is(save: Save, mask: int) -> None:
    before = os.umask(mask)
    try:
        model = save("iris", FILES)
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in Path(model.path).rglob("*") if p.is_file()} == {0o444}


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_an_error_leaves_nothing(models: ModelStore, home: Home, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, models.create("iris") as model:
        Path(model.path_of("half")).write_text("x")
        raise error
    assert caught.value is error
    assert everything(home) == []
    assert models.list() == []


@pytest.mark.parametrize(
    "declaration",
    [
        {"labels": {"a": 1}}, {"metadata": {"a": object()}}, {"signatures": {"a": 1}}, {"options": {"a": object()}},
        {"custom_objects": ["not a dict"]},
    ],
    ids=repr,
)  # fmt: skip
def test_mistakes_are_found_before_the_block(
    models: ModelStore, home: Home, declaration: dict[str, object]
) -> None:
    with pytest.raises(ValueError), models.create("iris", **declaration):  # type: ignore[arg-type]  # the mistake
        pytest.fail("the block must not run")
    assert not home.root.exists()


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b"], ids=repr)
def test_a_bad_name_is_refused(models: ModelStore, name: str) -> None:
    with pytest.raises(ValueError), models.create(name):
        pytest.fail("the block must not run")


def test_a_file_that_cannot_be_stored_leaves_nothing(models: ModelStore, home: Home) -> None:
    with pytest.raises(InvalidArgument, match="copy of the file"), models.create("iris") as model:
        Path(model.path_of("link")).symlink_to("/etc/passwd")
    assert everything(home) == []


def test_the_copied_folder_of_another_model_is_a_model(models: ModelStore, save: Save) -> None:
    old = save("iris:v1", FILES, labels={"a": "b"})
    with models.create("rose:v2") as new:
        shutil.copytree(old.path, new.path, dirs_exist_ok=True)
        Path(new.path_of("more")).write_text("1")
    assert {entry.path for entry in new.tree.entries} == {*FILES, "more"}
    assert (new.tag, new.info.labels) == (Tag("rose", "v2"), {})
    assert models.verify() == []


@pytest.mark.parametrize(
    "text", ["", "a: 1", "[", "just: mine\nname: x\n", "name: x\nversion: v1\nlayers: 3\n"]
)
def test_a_file_that_is_called_as_a_manifest_and_is_none_is_not_lost(models: ModelStore, text: str) -> None:
    with pytest.raises(InvalidArgument, match="describes an item; rename yours"), models.create("x") as model:
        Path(model.path_of("model.yaml")).write_text(text)
    assert models.list() == []


def test_a_place_that_is_taken_leaves_nothing(home: Home, save: Save) -> None:
    home.models.mkdir(parents=True)
    (home.models / "iris").touch()
    with pytest.raises(OSError):
        save("iris", FILES)
    assert everything(home) == ["models/iris"]


@pytest.mark.parametrize(
    "declaration", [{"module": "a\ud800"}, {"context": ModelContext("a\ud800")}], ids=ascii
)
def test_half_of_a_character_leaves_nothing(
    models: ModelStore, home: Home, declaration: dict[str, Any]
) -> None:
    with pytest.raises(BentoMLException, match=r"describes model `iris.*half of a character .*'.*a\\ud800"):  # noqa: SIM117 - the block fails
        with models.create("iris", **declaration):
            pass
    assert (models.list(), list(home.staging.iterdir())) == ([], [])


def test_names_that_cannot_travel_are_said_at_once(save: Save, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "bentoml"):
        save("iris:v1", {"README": "1", "sub/x": "1"})
    assert caplog.text == ""
    with caplog.at_level(logging.WARNING, "bentoml"):
        assert str(save("iris:v2", {"README": "1", "readme": "2"}).tag) == "iris:v2"
    assert (
        "model `iris:v2` can be used here, but not exported: `README` and `readme` are one name"
        in caplog.text
    )


def test_objects_that_cannot_be_pickled_leave_nothing(models: ModelStore, home: Home) -> None:
    with pytest.raises(TypeError), models.create("iris", custom_objects={"f": sys.stdout}):
        pass
    assert everything(home) == []


def test_what_the_dead_left_is_removed_by_the_next_save(home: Home, save: Save) -> None:
    dead = home.staging / "dead" / "iris"
    dead.mkdir(parents=True)
    (dead / "model.pkl").write_text("half")
    (home.staging / "dead.lock").touch()
    orphan = home.blobs / "sha256" / "ab" / ("ab" * 32)
    orphan.parent.mkdir(parents=True)
    orphan.touch()
    save("iris", FILES)
    assert list(home.staging.iterdir()) == []
    assert not orphan.exists()


# -- versions


def test_a_given_version_names_its_content(models: ModelStore, save: Save) -> None:
    first = save("iris:v1", FILES)
    assert first.tag == Tag("iris", "v1")
    assert save("iris:v1", FILES).creation_time == first.creation_time
    with pytest.raises(BentoMLException) as caught:
        save("iris:v1", {"model.pkl": "other"})
    message = str(caught.value)
    assert f"model `iris:v1` exists with other content: it is {first.digest}, this is sha256:" in message
    assert message.count("sha256:") == 2
    assert Path(models.get("iris:v1").path_of("model.pkl")).read_text() == "weights"


def test_latest_is_no_version(models: ModelStore) -> None:
    with pytest.raises(BentoMLException, match="choose another version"), models.create("iris:latest"):
        pytest.fail("the block must not run")


def test_latest_is_what_was_saved_last(models: ModelStore, save: Save) -> None:
    one, two = save("iris", {"w": "1"}), save("iris", {"w": "2"})
    assert models.get("iris") == models.get("iris:latest") == two
    assert save("iris", {"w": "1"}) == one
    assert models.get("iris:latest") == one, "what a user has just saved is what `latest` gives"
    assert [m.tag for m in models.list("iris")] == [two.tag, one.tag], "the times of creation stay"


def test_latest_without_its_file_is_the_newest(models: ModelStore, home: Home, save: Save) -> None:
    one, two = save("iris", {"w": "1"}), save("iris", {"w": "2"})
    save("iris", {"w": "1"})
    (home.models / "iris" / "latest").unlink()
    assert models.get("iris") == two
    (home.models / "iris" / "latest").write_text("gone")
    assert models.get("iris") == two
    assert models.get(f"iris:{str(one.tag.version)[:9]}") == one


def test_several_matches_are_named(models: ModelStore, save: Save) -> None:
    save("iris:v1.0", {"w": "1"})
    save("iris:v1.1", {"w": "2"})
    with pytest.raises(
        BentoMLException, match=r"Multiple versions found for `iris:v1`: iris:v1.0, iris:v1.1"
    ):
        models.get("iris:v1")


@pytest.mark.parametrize("tag", ["iris", "iris:latest", "iris:v1", "rose:x"])
def test_what_is_not_there_is_said(models: ModelStore, save: Save, tag: str) -> None:
    save("rose:v1", FILES)
    with pytest.raises(
        NotFound, match=f"model `{tag}` not found .* `bentoml models list` shows what is there"
    ):
        models.get(tag)


def test_pins_win(home: Home, save: Save) -> None:
    one = save("iris", {"w": "1"})
    pinned = ModelStore(home, {"iris": one.tag, "iris:latest": one.tag, "My Alias": one.tag})
    save("iris", {"w": "2"})
    for tag in ("iris", "iris:latest", "My Alias", "Iris:latest", Tag("iris")):
        assert pinned.get(tag) == one
    assert pinned.get("iris:latest") != ModelStore(home).get("iris:latest")


# -- listing


def test_listing(models: ModelStore, save: Save) -> None:
    assert models.list() == []
    one, two, three = save("iris", {"w": "1"}), save("rose", {"w": "1"}), save("iris", {"w": "2"})
    assert models.list() == [three, two, one]
    assert models.list("iris") == models.list(Tag("iris")) == [three, one]
    assert models.list(two.tag) == [two]
    with pytest.raises(NotFound, match="with the name `none`"):
        models.list("none")
    with pytest.raises(NotFound):
        models.list("iris:none")


@pytest.mark.parametrize(
    "text", [None, "", "name: iris", "\xff\xfe", "labels: [", "name: iris\nversion: v\nlabels: 1\n"]
)
def test_a_damaged_model_is_logged_and_can_be_deleted(
    models: ModelStore, home: Home, save: Save, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    good = save("iris", FILES)
    bad = home.models / "iris" / "bad"
    bad.mkdir()
    if text is not None:
        (bad / "model.yaml").write_text(text, encoding="latin-1")
    with caplog.at_level(logging.WARNING, "bentoml"):
        assert models.list() == [good]
    assert "model `iris:bad` is damaged" in caplog.text
    with pytest.raises(BentoMLException, match="is damaged"):
        models.get("iris:bad")
    assert models.delete("iris:bad").tag == Tag("iris", "bad")
    assert not bad.exists()


def test_a_folder_that_is_no_item_is_left_alone(models: ModelStore, home: Home, save: Save) -> None:
    good = save("iris", FILES)
    (home.models / "Not A Name" / "x").mkdir(parents=True)
    (home.models / "iris" / "Not A Version").mkdir()
    (home.models / "file").touch()
    assert models.list() == models.list("iris") == [good]


def test_listing_does_not_read_the_files(models: ModelStore, home: Home, save: Save) -> None:
    model = save("iris", FILES)
    manifest = Path(model.path, "model.yaml")
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace('- {"path"', '- {"path" broken'))
    assert models.list() == [model]
    with pytest.raises(BentoMLException, match="list of files cannot be read"):
        models.get(model.tag)
    assert models.delete(model.tag) == model


# -- damage


def damage_missing(model: Model) -> None:
    Path(model.path_of("model.pkl")).unlink()


def damage_short(model: Model) -> None:
    file = Path(model.path_of("model.pkl"))
    file.chmod(0o644)
    file.write_text("wei")


def damage_link(model: Model) -> None:
    Path(model.path_of("link")).unlink()
    Path(model.path, "link").symlink_to("sub/config.json")


def damage_kind(model: Model) -> None:
    Path(model.path_of("model.pkl")).unlink()
    Path(model.path, "model.pkl").symlink_to("weight7")


def damage_manifest(model: Model) -> None:
    file = Path(model.path_of("model.yaml"))
    file.chmod(0o644)
    file.write_text(file.read_text().replace("stage: prod", "stage: test"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_missing, "`model.pkl` is missing"),
        (damage_short, "`model.pkl` has 3 bytes instead of 7"),
        (damage_link, "`link` leads elsewhere"),
        (damage_kind, "`model.pkl` is not a file"),
        (damage_manifest, "`model.yaml` was changed"),
    ],
)
def test_a_damaged_model_is_not_loaded_and_mended_by_saving(
    models: ModelStore, damage: Callable[[Model], None], said: str
) -> None:
    def save() -> Model:
        with models.create("damaged", labels={"stage": "prod"}) as model:
            Path(model.path_of("model.pkl")).write_text("weights")
            Path(model.path_of("sub")).mkdir()
            Path(model.path_of("sub/config.json")).write_text("{}")
            Path(model.path_of("link")).symlink_to("model.pkl")
        return model

    model = save()
    damage(model)
    with pytest.raises(BentoMLException, match=f"model `{model.tag}` is damaged: {said}"):
        models.get("damaged")
    assert save() == model
    assert Path(models.get("damaged").path_of("link")).read_text() == "weights"


# -- deleting


def test_deleting_frees_what_nobody_else_shares(models: ModelStore, home: Home, save: Save) -> None:
    one, two = save("one", {"a": "shared", "b": "own"}), save("two", {"a": "shared"})
    gone = models.delete(one.tag)
    assert gone == one and not Path(gone.path).parent.exists()
    assert [p.read_text() for p in home.blobs.rglob("*") if p.is_file()] == ["shared"]
    assert models.list() == [two]
    models.delete("two")
    assert everything(home) == []


def test_deleting_the_latest_leaves_the_newest(models: ModelStore, save: Save) -> None:
    one, two, three = (save("iris", {"w": w}) for w in "123")
    models.delete("iris:latest")
    assert models.get("iris") == two
    save("iris", {"w": "1"})
    models.delete(two.tag)
    assert models.get("iris") == one
    with pytest.raises(NotFound):
        models.delete(three.tag)


def test_a_name_with_several_versions_is_not_enough_to_delete(models: ModelStore, save: Save) -> None:
    save("iris", {"w": "1"})
    save("iris", {"w": "2"})
    with pytest.raises(BentoMLException, match="several versions"):
        models.delete("iris")
    assert len(models.list("iris")) == 2


def test_deleting_what_is_not_there_makes_no_home(models: ModelStore, home: Home) -> None:
    with pytest.raises(NotFound):
        models.delete("iris:v1")
    assert not home.root.exists()


# -- paths


@pytest.mark.parametrize("path", ["../other", "/etc/passwd", "a\0b", "sub/../../x"], ids=repr)
def test_path_of_stays_inside(save: Save, path: str) -> None:
    with pytest.raises(InvalidArgument):
        save("iris", FILES).path_of(path)


# -- custom objects


def test_custom_objects(models: ModelStore, save: Save) -> None:
    def double(x: int) -> int:
        return 2 * x

    save("iris", FILES, custom_objects={"double": double, "n": 3})
    objects = models.get("iris").custom_objects
    assert objects["double"](4) == 8 and objects["n"] == 3
    save("plain", FILES)
    assert models.get("plain").custom_objects == {}


def test_the_code_of_external_modules_is_stored(models: ModelStore, save: Save) -> None:
    module = ModuleType("only_here")
    exec("def triple(x): return 3 * x", module.__dict__)
    sys.modules["only_here"] = module
    try:
        save("iris", FILES, custom_objects={"triple": module.triple}, external_modules=[module])
    finally:
        del sys.modules["only_here"]
    assert models.get("iris").custom_objects["triple"](2) == 6


# -- BentoML 1.x


def test_models_of_1_x_are_listed_read_and_deleted(models: ModelStore, home: Home, save: Save) -> None:
    first = old_model(home, "aaaa", "2024-01-01T00:00:00+00:00")
    old_model(home, "bbbb", "2024-02-01T00:00:00+00:00")
    new = save("iris", FILES)
    assert [str(m.tag) for m in models.list()] == [str(new.tag), "old:bbbb", "old:aaaa"]
    assert str(models.get("old").tag) == "old:bbbb"
    (first.parent / "latest").write_text("aaaa")
    model = models.get("old:latest")
    assert (model.path, model.info.context.bentoml_version) == (str(first), "1.4.39")
    assert [e.path for e in model.tree.entries] == ["saved_model.pkl"]
    assert model.digest == model.info.identity(model.tree)
    models.delete("old:aaaa")
    assert str(models.get("old").tag) == "old:bbbb"


def test_saving_what_1_x_saved_under_the_same_version_is_no_change(home: Home, save: Save) -> None:
    old_model(home, "v1")
    again = save("old:v1", {"saved_model.pkl": "weights"}, module="bentoml.sklearn")
    assert again.info.digest is None
    with pytest.raises(BentoMLException, match="other content"):
        save("old:v1", {"saved_model.pkl": "other"}, module="bentoml.sklearn")


@pytest.mark.parametrize("linked", ["iris", "iris/v1"])
def test_what_a_link_leads_to_is_not_deleted(models: ModelStore, home: Home, save: Save, linked: str) -> None:
    model = save("iris:v1", {"w": "1"})
    (home.models / linked).rename(home.root / "elsewhere")
    (home.models / linked).symlink_to(home.root / "elsewhere")
    assert models.get("iris") == model, "a link is as good as a folder for reading"
    with pytest.raises(BentoMLException, match=r"is a link to .*remove the link"):
        models.delete("iris:v1")
    assert models.list() == [model]
    assert not list(home.staging.iterdir())
