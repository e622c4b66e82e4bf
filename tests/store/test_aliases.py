from __future__ import annotations

from pathlib import Path

import pytest
from tests.store.saving import Save

from bentoml import Tag
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.store.aliases import Alias
from bentoml.store.models import ModelStore


def test_an_alias_is_written_with_its_name() -> None:
    assert Alias.parse("iris@prod") == Alias("iris", "prod")
    assert str(Alias.parse("Iris@Prod")) == "iris@prod"


@pytest.mark.parametrize(
    "text",
    [
        "iris",
        "@prod",
        "iris@",
        "iris@a b",
        "iris@../x",
        "../x@prod",
        "iris@a@b",
        "iris:v1@prod",
        "iris@.log",
        "",
    ],
)
def test_what_is_no_alias_is_refused(models: ModelStore, save: Save, text: str) -> None:
    save("iris:v1", {"w": "1"})
    with pytest.raises(BentoMLException, match="alias"):
        models.set_alias(text, "iris:v1")
    with pytest.raises(BentoMLException, match=r"`iris:latest`; choose another alias"):
        models.set_alias("iris@latest", "iris:v1")


def test_an_alias_is_taken_wherever_a_tag_is(models: ModelStore, save: Save) -> None:
    one, two = save("iris:v1", {"w": "1"}), save("iris:v2", {"w": "2"})
    assert models.set_alias("iris@prod", "iris:v1") == (one.tag, None)
    assert models.get("iris@prod") == one
    assert models.resolve("iris@prod") == models.resolve_single("iris@prod") == one.tag
    assert models.list("iris@prod") == [one]
    assert models.set_alias("iris@staging", "iris") == (two.tag, None)
    assert models.set_alias("iris@prod", "iris@staging") == (two.tag, one.tag)
    assert models.get("iris@prod") == two
    assert models.aliases() == {Alias("iris", "prod"): two.tag, Alias("iris", "staging"): two.tag}
    assert models.aliases("rose") == {}


def test_an_alias_means_its_version_and_no_other(models: ModelStore, save: Save, home: Home) -> None:
    save("iris:v1", {"w": "1"})
    models.set_alias("iris@prod", "iris:v1")
    models.delete("iris:v1", force=True)
    save("iris:v10", {"w": "2"})
    (home.aliases / "models/iris/prod").write_text("v1")  # as a crash in the middle of `delete` leaves it
    with pytest.raises(NotFound, match="`iris@prod` names `iris:v1`, which is not in the store"):
        models.get("iris@prod")


def test_what_an_alias_cannot_name(models: ModelStore, save: Save) -> None:
    save("rose:v1", {"w": "1"})
    with pytest.raises(NotFound):
        models.set_alias("iris@prod", "iris:v1")
    with pytest.raises(BentoMLException, match="can name a version of `iris` only, not `rose:v1`"):
        models.set_alias("iris@prod", "rose:v1")
    with pytest.raises(NotFound, match=r"alias `iris@prod` not found; .* alias iris@prod TAG` makes one"):
        models.get("iris@prod")
    assert models.aliases() == {}


def test_moves_are_logged_and_outlive_the_alias(models: ModelStore, save: Save) -> None:
    for version in ("v1", "v2"):
        save(f"iris:{version}", {"w": version})
        models.set_alias("iris@prod", f"iris:{version}")
        models.set_alias("iris@prod", f"iris:{version}")  # no move
    assert models.delete_alias("iris@prod") == Tag("iris", "v2")
    log = models.alias_log("iris@prod")
    assert [(move.before, move.after) for move in log] == [(None, "v1"), ("v1", "v2"), ("v2", None)]
    assert log[0].time <= log[1].time <= log[2].time
    for call in (models.delete_alias, models.alias, models.get):
        with pytest.raises(NotFound):
            call("iris@prod")
    with pytest.raises(NotFound):
        models.alias_log("iris@never")


def test_a_line_that_a_crash_cut_off_is_left_out(models: ModelStore, save: Save, home: Home) -> None:
    save("iris:v1", {"w": "1"})
    models.set_alias("iris@prod", "iris:v1")
    with (home.aliases / "models/iris/.prod.log").open("ab") as log:
        log.write(b'{"time": "20')
    assert len(models.alias_log("iris@prod")) == 1


@pytest.mark.parametrize("content", [b"", b"../../x", b"a b", b"\xff", b"v1\nv2"], ids=repr)
def test_a_damaged_alias_is_an_error_of_ours(
    models: ModelStore, save: Save, home: Home, content: bytes
) -> None:
    save("iris:v1", {"w": "1"})
    models.set_alias("iris@prod", "iris:v1")
    (home.aliases / "models/iris/prod").write_bytes(content)
    with pytest.raises(BentoMLException, match="holds no version"):
        models.get("iris@prod")
    assert models.list() == [models.get("iris:v1")]
    assert models.aliases() == {}
    assert [str(damage) for damage in models.verify()] == [
        "model `iris`: `@prod` names no version that is there"
    ]
    models.set_alias("iris@prod", "iris:v1")
    assert models.verify() == [] and models.get("iris@prod")
    (home.aliases / "models/iris/prod").write_bytes(content)
    assert models.delete_alias("iris@prod") is None
    assert str(models.delete("iris:v1").tag) == "iris:v1"


def test_an_item_that_an_alias_names_is_not_deleted(models: ModelStore, save: Save) -> None:
    model = save("iris:v1", {"w": "1"})
    models.set_alias("iris@prod", "iris:v1")
    models.set_alias("iris@b", "iris:v1")
    for tag in ("iris", "iris:v1", "iris@prod"):
        with pytest.raises(
            BentoMLException, match="`iris:v1` is what `iris@b`, `iris@prod` names and can't be deleted"
        ):
            models.delete(tag)
    assert models.delete("iris:v1", force=True) == model
    assert models.aliases() == {}
    assert [move.after for move in models.alias_log("iris@prod")] == ["v1", None]


def test_a_pin_goes_before_an_alias(home: Home, save: Save) -> None:
    one, two = save("iris:v1", {"w": "1"}), save("iris:v2", {"w": "2"})
    ModelStore(home).set_alias("iris@prod", two.tag)
    assert ModelStore(home, {"iris@prod": one.tag}).get("iris@prod") == one
    assert ModelStore(home, {"iris": one.tag}).get("iris@prod") == two


def test_kinds_have_aliases_of_their_own(home: Home, save: Save, models: ModelStore) -> None:
    save("iris:v1", {"w": "1"})
    models.set_alias("iris@prod", "iris:v1")
    assert (home.aliases / "models/iris/prod").read_text() == "v1"
    assert not Path(home.aliases / "bentos").exists()


def test_a_full_disk_leaves_alias_and_log_as_they_were(models: ModelStore, home: Home, save: Save) -> None:
    for version in ("v1", "v2"):
        save(f"iris:{version}", {"w": version})
    models.set_alias("iris@prod", "iris:v1")
    folder = home.aliases / "models" / "iris"
    (folder / ".prod.log").unlink()
    (folder / ".prod.log").symlink_to("/dev/full")
    said = r"alias `iris@prod` stays as it was: `.*/aliases/models/iris` .*No space left on device; make room"
    with pytest.raises(BentoMLException, match=said):
        models.set_alias("iris@prod", "iris:v2")
    with pytest.raises(BentoMLException, match=said):
        models.delete_alias("iris@prod")
    assert models.alias("iris@prod") == Tag("iris", "v1")
    assert sorted(path.name for path in folder.iterdir()) == [".prod.log", "prod"]


def test_a_move_that_cannot_be_read_hides_no_other(models: ModelStore, home: Home, save: Save) -> None:
    for version in ("v1", "v2"):
        models.set_alias("iris@prod", save(f"iris:{version}", {"w": version}).tag)
    log = home.aliases / "models" / "iris" / ".prod.log"
    first, second = log.read_bytes().splitlines(keepends=True)
    for at in range(len(first)):
        for bit in (0, 7):
            log.write_bytes(first[:at] + bytes([first[at] ^ 1 << bit]) + first[at + 1 :] + second)
            moves = models.alias_log("iris@prod")
            assert len(moves) < 3
            assert at == len(first) - 1 or moves[-1].after == "v2", "the line that follows is whole"


def test_a_move_after_one_that_a_crash_cut_off_is_in_the_log(
    models: ModelStore, home: Home, save: Save
) -> None:
    for version in ("v1", "v2"):
        save(f"iris:{version}", {"w": version})
    models.set_alias("iris@prod", "iris:v1")
    log = home.aliases / "models" / "iris" / ".prod.log"
    with log.open("ab") as file:
        file.write(b'{"time": "2026-')
    models.set_alias("iris@prod", "iris:v2")
    assert [move.after for move in models.alias_log("iris@prod")] == ["v1", "v2"]
