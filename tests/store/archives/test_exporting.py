"""What is written: every format, under the right name, the same bytes everywhere, and never half."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import get_args

import pytest
from tests.store.saving import Save

from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.store.archives.exporting import export
from bentoml.store.archives.formats import Format
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.archives.watch import Unwatched
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import Model, ModelStore
from bentoml.tag import Tag

FORMATS = get_args(Format)


@pytest.fixture
def iris(models: ModelStore) -> Model:
    """A model with one of everything: a program, a link, an empty file, letters beyond ASCII, long names."""
    with models.create("iris", labels={"a": "b"}, metadata={"accuracy": 0.5}) as model:
        folder = Path(model.path)
        (folder / "w.bin").write_bytes(hashlib.sha512(b"w").digest() * 20_000)
        (folder / "noise").write_bytes(os.urandom(70_000))
        (folder / "sub" / ("n" * 120)).mkdir(parents=True)
        (folder / "sub" / ("n" * 120) / "größe.txt").write_text("hello " * 1000)
        (folder / "run").write_text("#!/bin/sh\n")
        (folder / "run").chmod(0o700)
        (folder / "sub" / "link").symlink_to("../w.bin")
        (folder / "empty").touch()
    return model


@pytest.mark.parametrize("format", FORMATS)
def test_what_goes_out_comes_in(iris: Model, tmp_path: Path, format: str) -> None:
    path = export(iris, open_place(tmp_path / "exported"), format)
    assert path == str(tmp_path / "exported")
    elsewhere = Home(tmp_path / "elsewhere")
    (received,) = import_item(Model, open_place(path), format, home=elsewhere)
    assert received.is_new
    assert (received.item.tag, received.item.digest, received.item.tree) == (iris.tag, iris.digest, iris.tree)
    received.item.check(thoroughly=True)
    assert os.access(received.item.path_of("run"), os.X_OK)
    assert os.readlink(received.item.path_of("sub/link")) == "../w.bin"
    assert received.item.info.creation_time.year > 2000, "that of its arrival"
    (again,) = import_item(Model, open_place(path), home=elsewhere)
    assert not again.is_new


class Deleting(Unwatched):
    """Delete a model when its size is known and nothing is written, and perhaps store another one under its tag."""

    def __init__(self, models: ModelStore, tag: Tag, again: bool) -> None:
        self._models, self._tag, self._again = models, tag, again

    def expect(self, count: int) -> None:
        """Expect so many bytes, once."""
        self._models.delete(self._tag)
        if self._again:
            with self._models.create(self._tag) as model:
                Path(model.path_of("other")).touch()


@pytest.mark.parametrize(("again", "what"), [(False, "deleted"), (True, "replaced")])
@pytest.mark.parametrize("format", ["tar", "zip", "folder"])
def test_what_is_deleted_meanwhile_is_said_to_be(
    iris: Model, models: ModelStore, tmp_path: Path, format: str, again: bool, what: str
) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(NotFound, match=f"^model `{iris.tag}` was {what} while it was read$"):
        export(iris, open_place(tmp_path / "out/x"), format, watch=Deleting(models, iris.tag, again))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "format", "expected"),
    [
        ("x.bentomodel", None, "x.bentomodel"),
        ("x.tar", None, "x.tar"),
        ("x.tar.gz", None, "x.tar.gz"),
        ("x.ZIP", None, "x.ZIP"),
        ("x", None, "x.bentomodel"),
        ("x.v1", None, "x.v1.bentomodel"),
        ("x.bento", None, "x.bento.bentomodel"),
        ("x", "tar", "x"),
        ("x.zip", "tar", "x.zip"),
        ("folder", None, "folder/iris-v1.bentomodel"),
        ("folder", "gz", "folder/iris-v1.gz"),
        ("folder", "folder", "folder/iris-v1"),
        ("new/", None, "new/iris-v1.bentomodel"),
        ("new/newer/", "zip", "new/newer/iris-v1.zip"),
    ],
)
def test_where_it_goes(save: Save, tmp_path: Path, path: str, format: str | None, expected: str) -> None:
    (tmp_path / "folder").mkdir()
    model = save("iris:v1", {"w": "1"})
    assert export(model, open_place(f"{tmp_path}/{path}"), format) == f"{tmp_path}/{expected}"
    assert (tmp_path / expected).exists()


def test_nothing_said_means_the_current_folder(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert export(save("iris:v1", {"w": "1"}), open_place("")) == str(tmp_path / "iris-v1.bentomodel")


@pytest.mark.parametrize(
    ("ending", "reader"),
    [(".bentomodel", "r:xz"), (".xz", "r:xz"), (".gz", "r:gz"), (".bz2", "r:bz2"), (".tar", "r:")],
)
def test_others_read_it(iris: Model, tmp_path: Path, ending: str, reader: str) -> None:
    path = export(iris, open_place(tmp_path / f"x{ending}"))
    with tarfile.open(path, reader) as archive:  # type: ignore[call-overload]  # the modes are right
        members = archive.getmembers()
        assert "model.yaml" in archive.getnames()
        assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 0)}
        assert {oct(m.mode) for m in members if m.isfile()} == {"0o644", "0o755"}
        content = archive.extractfile("w.bin")
        assert content is not None and content.read() == Path(iris.path_of("w.bin")).read_bytes()


def test_other_programs_read_the_zip(iris: Model, tmp_path: Path) -> None:
    with zipfile.ZipFile(export(iris, open_place(tmp_path / "x.zip"))) as archive:
        assert archive.testzip() is None
        assert archive.getinfo("noise").compress_type == zipfile.ZIP_STORED
        assert archive.getinfo("w.bin").compress_type == zipfile.ZIP_DEFLATED


WRITER = """
import os, sys
from pathlib import Path
from bentoml.config import Home
from bentoml.store.archives.exporting import export
from bentoml.store.archives.places import open_place
from bentoml.store.models import ModelStore

os.umask(int(sys.argv[2], 8))
store = ModelStore(Home(Path(sys.argv[1])))
names = ["b", "a", "ü/c", "A1"]
with store.create("iris", labels={"x": "1"}, metadata={"t": [1, 2]}) as model:
    for name in names if sys.argv[3] == "1" else reversed(names):
        file = Path(model.path, name)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode() * 100_000)
    Path(model.path, "run").touch(0o777)
    Path(model.path, "link").symlink_to("a")
for ending in sys.argv[4:]:
    export(model, open_place(sys.argv[1] + "/iris." + ending))
"""


@pytest.mark.slow
def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    """Whoever writes them, where, when, in which order, zone and language, and with which umask."""
    endings = ["bentomodel", "gz", "bz2", "tar", "zip", "zst"]
    cases = [
        ("a", "022", "1", {"TZ": "UTC", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "1"}),
        (
            "b/deeper",
            "077",
            "2",
            {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "USER": "somebody"},
        ),
    ]
    for folder, umask, order, env in cases:
        argv = [sys.executable, "-c", WRITER, str(tmp_path / folder), umask, order, *endings]
        subprocess.run(argv, env={**os.environ, **env}, check=True)
    for ending in endings:
        first, second = ((tmp_path / folder / f"iris.{ending}").read_bytes() for folder, *_ in cases)
        assert first == second, ending


def test_what_was_made_at_another_time_is_equal(save: Save, models: ModelStore, tmp_path: Path) -> None:
    first = export(save("iris", {"w": "1"}), open_place(tmp_path / "first.tar"))
    models.delete("iris")
    second = export(save("iris", {"w": "1"}), open_place(tmp_path / "second.tar"))
    assert Path(first).read_bytes() == Path(second).read_bytes()


def test_a_file_that_is_there_is_replaced_and_that_is_said(
    save: Save, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.tar").write_text("old")
    with caplog.at_level(logging.INFO, "bentoml"):
        path = export(save("iris", {"w": "1"}), open_place(tmp_path / "x.tar"))
    assert tarfile.is_tarfile(path)
    assert f"`{path}` was there already, and is replaced" in caplog.text
    assert sorted(tmp_path.iterdir()) == [tmp_path / "home", tmp_path / "x.tar"]


@pytest.mark.parametrize(
    ("path", "format", "said"),
    [
        ("missing/x.tar", None, "does not exist; make it"),
        ("full", "folder", "full/iris-v1` is a folder that is there already"),
        ("file", "folder", "is a file"),
        ("pipe", "tar", "is no file, and is left alone"),
        ("dangling", "tar", "is no file, and is left alone"),
        ("n" * 300, "tar", "File name too long"),
    ],
)
def test_what_cannot_be_written(save: Save, tmp_path: Path, path: str, format: str | None, said: str) -> None:
    (tmp_path / "full" / "iris-v1" / "x").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    model = save("iris:v1", {"w": "1"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BentoMLException, match=said):
        export(model, open_place(tmp_path / path), format)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_format_that_nobody_knows(save: Save, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Unsupported format `rar`; give one of bentomodel, xz"):
        export(save("iris", {"w": "1"}), open_place(tmp_path / "x"), "rar")


def test_a_damaged_model_is_not_exported(save: Save, tmp_path: Path) -> None:
    model = save("iris", {"w": "1"})
    file = Path(model.path_of("w"))
    file.chmod(0o644)
    file.write_text("2")
    with pytest.raises(BentoMLException, match=r"is damaged: `w` "):
        export(model, open_place(tmp_path / "x.tar"))
    assert not (tmp_path / "x.tar").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_rotted_on_the_disk_is_found_on_its_way(save: Save, tmp_path: Path, format: str) -> None:
    model = save("iris", {"w": "1" * 100, "x": "2" * 100})
    file = Path(model.path_of("w"))
    before = file.stat()
    file.chmod(0o644)
    file.write_text("1" * 99 + "3")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if nobody had written to it
    with pytest.raises(BentoMLException, match=r"model `iris:.*` is damaged: `w` has other content"):
        export(model, open_place(tmp_path / "x"), format)
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_names_that_could_not_be_unpacked_are_refused_here(save: Save, tmp_path: Path) -> None:
    model = save("iris:v1", {"Readme": "1", "README": "2"})
    with pytest.raises(BentoMLException) as caught:
        export(model, open_place(tmp_path / "x.tar"))
    assert str(caught.value) == (
        "model `iris:v1` could not be unpacked everywhere: `README` and `Readme` are one name for file systems that do not "
        "tell case or accents apart; rename the file, and save it again"
    )


def test_a_name_that_is_a_drive_elsewhere_is_refused_here(save: Save, tmp_path: Path) -> None:
    with pytest.raises(
        BentoMLException, match="could not be unpacked everywhere: 'c:x' is an absolute path, or of a drive"
    ):
        export(save("iris:v1", {"c:x": "1"}), open_place(tmp_path / "x.tar"))


def test_a_model_of_bentoml_1x_keeps_what_it_says(home: Home, tmp_path: Path) -> None:
    folder = home.models / "old" / "v1"
    folder.mkdir(parents=True)
    (folder / "w").write_text("1")
    (folder / "model.yaml").write_text(
        "name: old\nversion: v1\nmodule: bentoml.sklearn\ncreation_time: '2022-01-01T00:00:00+00:00'\nx_more: {a: 1}\n"
    )
    model = ModelStore(home).get("old:v1")
    path = export(model, open_place(tmp_path / "x.tar"))
    (received,) = import_item(Model, open_place(path), home=Home(tmp_path / "elsewhere"))
    assert received.item.digest == model.digest
    assert isinstance(received.item, Model)
    assert received.item.info.module == "bentoml.sklearn"
    assert "x_more:\n  a: 1\n" in Path(received.item.path_of("model.yaml")).read_text()


def save_bento(home: Home, *models: Model) -> Bento:
    with BentoStore(home).create("shop") as draft:
        (draft.path / "src").mkdir()
        (draft.path / "src" / "service.py").write_text("pass")
        draft.info = BentoInfo(
            tag=Tag("shop", "v0"),
            service="service:S",
            models=tuple(ModelRef.of(model.info) for model in models),
        )
    return draft.saved


@pytest.mark.parametrize("format", FORMATS)
def test_a_bento_takes_its_models_along(save: Save, home: Home, tmp_path: Path, format: str) -> None:
    first, second, other = save("iris:v1", {"w": "1"}), save("iris:v2", {"w": "2"}), save("bert", {"w": "1"})
    bento = save_bento(home, first, second, other)
    path = export(bento, open_place(tmp_path / "x"), format, models=[first, second, other])
    elsewhere = Home(tmp_path / "elsewhere")
    received = import_item(Bento, open_place(path), home=elsewhere)
    assert received[-1].item.tag == bento.tag
    assert {model.tag for model in ModelStore(elsewhere).list()} == {first.tag, second.tag, other.tag}
    assert ModelStore(elsewhere).get("iris:v1").digest == first.digest
    assert BentoStore(elsewhere).get("shop").tree == bento.tree
    assert not any(one.is_new for one in import_item(Bento, open_place(path), home=elsewhere))
