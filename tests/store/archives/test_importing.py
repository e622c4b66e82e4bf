"""What comes in: the same again, another one under its tag, of another kind, weights that are no model yet."""

from __future__ import annotations

import gzip
import http.server
import os
import pickle
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.archives.crafting import MANIFEST, member, tar
from tests.store.saving import Save

from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.store.archives.exporting import export
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.bentos import Bento
from bentoml.store.models import Model, ModelStore


@pytest.fixture
def here(tmp_path: Path) -> Home:
    """The store that things come to."""
    return Home(tmp_path / "here")


def take(
    path: str | Path, home: Home, format: str | None = None, *, name: str | None = None, trust: bool = False
) -> Model:
    (received,) = import_item(Model, open_place(path), format, home=home, name=name, trust=trust)
    assert isinstance(received.item, Model)
    return received.item


def test_another_one_under_the_same_tag_is_refused(save: Save, here: Home, tmp_path: Path) -> None:
    path = export(save("iris:v1", {"w": "1"}), open_place(tmp_path / "x.tar"))
    with ModelStore(here).create("iris:v1") as model:
        Path(model.path_of("w")).write_text("2")
    with pytest.raises(BentoMLException, match="`iris:v1` exists with other content"):
        take(path, here)
    assert Path(ModelStore(here).get("iris:v1").path_of("w")).read_text() == "2"


def test_a_damaged_one_is_healed(save: Save, here: Home, tmp_path: Path) -> None:
    path = export(save("iris:v1", {"w": "1"}), open_place(tmp_path / "x.tar"))
    file = Path(take(path, here).path_of("w"))
    file.chmod(0o644)
    file.write_text("2")
    take(path, here)
    assert Path(ModelStore(here).get("iris:v1").path_of("w")).read_text() == "1"


@pytest.mark.parametrize("changed", ["w", "model.yaml", "more", "less"])
def test_what_was_changed_on_the_way_is_named(save: Save, here: Home, tmp_path: Path, changed: str) -> None:
    folder = Path(export(save("iris:v1", {"w": "1", "v": "2"}), open_place(tmp_path / "folder"), "folder"))
    match changed:
        case "w":
            (folder / "w").write_text("2")
        case "model.yaml":
            (folder / "model.yaml").write_text(
                (folder / "model.yaml").read_text().replace("labels: {}", "labels: {a: b}")
            )
        case "more":
            (folder / "more").write_text("x")
        case "less":
            (folder / "v").unlink()
    with pytest.raises(BentoMLException, match=r"is damaged: ") as caught:
        take(folder, here)
    assert f"`{'v' if changed == 'less' else changed}`" in str(caught.value)
    assert ModelStore(here).list() == []


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_modes_that_another_program_lost_are_those_of_the_manifest(
    here: Home, tmp_path: Path, mode: int
) -> None:
    models = ModelStore(Home(tmp_path / "other"))
    with models.create("iris") as model:
        for path in ("run", "also", "w"):
            Path(model.path, path).write_text("1")
        Path(model.path, "run").chmod(0o755)
        Path(model.path, "also").chmod(0o755)
    export(model, open_place(tmp_path / "iris"), "folder")
    for file in (tmp_path / "iris").iterdir():
        file.chmod(mode)
    taken = take(tmp_path / "iris", here)
    assert (taken.tag, taken.digest) == (model.tag, model.digest)
    assert {path for path in ("run", "also", "w") if os.access(taken.path_of(path), os.X_OK)} == {
        "run",
        "also",
    }
    taken.check(thoroughly=True)


def test_latest_is_what_came_last(save: Save, here: Home, tmp_path: Path) -> None:
    paths = [export(save(f"iris:{v}", {"w": v}), open_place(tmp_path / f"{v}.tar")) for v in ("v1", "v2")]
    for path in [*paths, paths[0]]:
        take(path, here)
    assert str(ModelStore(here).get("iris").tag) == "iris:v1"


def test_a_model_is_no_bento(save: Save, here: Home, tmp_path: Path) -> None:
    path = export(save("iris", {"w": "1"}), open_place(tmp_path / "x.bento"), "tar")
    with pytest.raises(BentoMLException, match="it holds a model, not a bento; use `bentoml models import`"):
        import_item(Bento, open_place(path), home=here)


def test_the_content_says_what_it_is_and_not_the_name(save: Save, here: Home, tmp_path: Path) -> None:
    path = export(save("iris", {"w": "1"}), open_place(tmp_path / "x.zip"), "gz")
    assert take(path, here).tag.name == "iris"
    with pytest.raises(BentoMLException, match="it is `gz`, not `zip`"):
        take(path, here, "zip")


def test_an_archive_without_an_ending_is_one(save: Save, here: Home, tmp_path: Path) -> None:
    assert take(export(save("iris", {"w": "1"}), open_place(tmp_path / "x"), "xz"), here).tag.name == "iris"
    assert take(export(save("iris", {"w": "1"}), open_place(tmp_path / "y"), "zip"), here).tag.name == "iris"


def test_nothing_there(here: Home, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"x\.tar` does not exist"):
        take(tmp_path / "none" / "x.tar", here)
    with pytest.raises(ValueError, match="Unsupported format `rar`"):
        take(tmp_path, here, "rar")


def test_a_folder_of_the_store_of_bentoml(here: Home, tmp_path: Path) -> None:
    (tmp_path / "item" / "empty").mkdir(parents=True)
    (tmp_path / "item" / "model.yaml").write_bytes(MANIFEST)
    (tmp_path / "item" / "w").write_text("1")
    model = take(tmp_path / "item", here)
    assert (str(model.tag), model.creation_time.year) == ("evil:v1", 2026)
    assert model.info.digest is not None, "from now on its content is known"
    assert (tmp_path / "item" / "model.yaml").exists(), "it is a copy"


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("Iris-Model.safetensors", None, "iris-model"),
        ("my model (2).PT", None, "my-model-2"),
        ("notes.txt", "notes", "notes"),
        ("iris.bin", "bert", "bert"),
        ("iris.bin", "bert:v1", "bert:v1"),
    ],
)
def test_a_file_of_weights(here: Home, tmp_path: Path, path: str, name: str | None, expected: str) -> None:
    (tmp_path / path).write_text("weights")
    model = take(tmp_path / path, here, name=name)
    assert str(model.tag).startswith(expected)
    assert [entry.path for entry in model.tree.entries] == [path]
    assert take(tmp_path / path, here, name=name) == model, "the same again is no error"


def test_a_folder_of_weights(here: Home, tmp_path: Path) -> None:
    (tmp_path / "Tiny BERT" / "sub").mkdir(parents=True)
    (tmp_path / "Tiny BERT" / "config.json").write_text("{}")
    (tmp_path / "Tiny BERT" / "sub" / "model.bin").write_text("weights")
    model = take(tmp_path / "Tiny BERT", here)
    assert model.tag.name == "tiny-bert"
    assert [entry.path for entry in model.tree.entries] == ["config.json", "sub/model.bin"]


def test_a_folder_of_anything(here: Home, tmp_path: Path) -> None:
    (tmp_path / "anything").mkdir()
    (tmp_path / "anything" / "notes.txt").write_text("x")
    with pytest.raises(BentoMLException, match=r"it has no `model.yaml`; to store the folder as it is"):
        take(tmp_path / "anything", here)
    assert take(tmp_path / "anything", here, name="notes").tag.name == "notes"
    with pytest.raises(BentoMLException, match=r"neither `model\.yaml` nor"):
        take(tmp_path / "anything", here, "folder")


def test_nothing_said(here: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.bin").write_text("x")
    with pytest.raises(NotFound, match="nothing says what to import"):
        take("", here)


def test_weights_that_are_packed_stay_as_they_are(here: Home, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    (tmp_path / "tree.joblib").write_bytes(gzip.compress(b"weights"))
    assert [entry.path for entry in take(tmp_path / "net.pt", here).tree.entries] == ["net.pt"]
    assert [entry.path for entry in take(tmp_path / "tree.joblib", here).tree.entries] == ["tree.joblib"]


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("notes.txt", None, "give the model a name"),
        ("übel.bin", None, None),
        ("___.bin", None, "no name for the model"),
        ("x.bentomodel", None, "no archive of the format `xz`"),
        ("x.tar.gz", "x", "no archive of the format `gz`"),
    ],
)
def test_weights_without_a_name(
    here: Home, tmp_path: Path, path: str, name: str | None, said: str | None
) -> None:
    (tmp_path / path).write_text("weights")
    if said is None:
        assert take(tmp_path / path, here, name=name).tag.name == "bel"
        return
    with pytest.raises(BentoMLException, match=said):
        take(tmp_path / path, here, name=name)


def test_what_has_a_name_takes_no_other(save: Save, here: Home, tmp_path: Path) -> None:
    path = export(save("iris", {"w": "1"}), open_place(tmp_path / "x.tar"))
    with pytest.raises(BentoMLException, match="leave out the name"):
        take(path, here, name="other")


def test_weights_from_elsewhere_are_not_trusted(here: Home, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "custom_objects.pkl").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(BentoMLException, match="models trust"):
        _ = take(tmp_path / "folder", here).custom_objects


class Handler(http.server.BaseHTTPRequestHandler):
    """A server with an archive, weights, and some trouble."""

    archive = b""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/iris.bentomodel":
                self.answer(200, self.archive)
            case "/weights.bin":
                self.answer(200, b"weights")
            case "/moved":
                self.answer(302, b"", Location="/iris.bentomodel")
            case "/file":
                self.answer(302, b"", Location="file:///etc/passwd")
            case "/ftp":
                self.answer(302, b"", Location="ftp://127.0.0.1/x.tar")
            case "/round":
                self.answer(302, b"", Location="/round")
            case "/secret.bentomodel":
                expected = "Basic dXNlcjpwYXNz"
                self.answer(200 if self.headers["Authorization"] == expected else 401, self.archive)
            case "/broken.bin":
                self.answer(200, self.archive, **{"Content-Length": "1000000"})
            case _:
                self.answer(404, b"")

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def web(save: Save, tmp_path: Path) -> Iterator[str]:
    path = export(save("iris", {"w": "1"}), open_place(tmp_path / "x.tar"))
    handler = type("WithArchive", (Handler,), {"archive": Path(path).read_bytes()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["iris.bentomodel", "iris.bentomodel?token=1", "moved"])
def test_from_the_web(web: str, here: Home, path: str) -> None:
    assert take(f"http://{web}/{path}", here).tag.name == "iris"


def test_weights_from_the_web(web: str, here: Home) -> None:
    model = take(f"http://{web}/weights.bin?download=true", here)
    assert model.tag.name == "weights"
    assert Path(model.path_of("weights.bin")).read_bytes() == b"weights"


def test_with_a_password(web: str, here: Home) -> None:
    assert take(f"http://user:pass@{web}/secret.bentomodel", here).tag.name == "iris"
    with pytest.raises(BentoMLException, match=r"status 401") as caught:
        take(f"http://user:wrong@{web}/secret.bentomodel?key=hidden", here)
    assert "wrong" not in str(caught.value) and "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.tar", "status 404"),
        ("file", "status 302"),
        ("ftp", "where it is not followed"),
        ("round", "status 302"),
        ("broken.bin", "broke off"),
    ],
)
def test_trouble_with_the_web(web: str, here: Home, path: str, said: str) -> None:
    with pytest.raises(BentoMLException, match=said):
        take(f"http://{web}/{path}", here)
    assert ModelStore(here).list() == []
    assert list(here.staging.iterdir()) == []


def test_nobody_answers(here: Home) -> None:
    with pytest.raises(BentoMLException, match=r"`http://127\.0\.0\.1:1/x\.tar` cannot be downloaded"):
        take("http://127.0.0.1:1/x.tar", here)


def test_the_web_is_not_written_to(save: Save) -> None:
    with pytest.raises(BentoMLException, match="cannot be written to"):
        export(save("iris", {"w": "1"}), open_place("https://example.com/x.tar"))


def test_an_old_manifest(here: Home, tmp_path: Path) -> None:
    """As BentoML 1.0 wrote it, in an archive of then."""
    old = b"name: old\nversion: v1\nmodule: bentoml.sklearn\napi_version: v1\ncreation_time: '2022-08-01T00:00:00+00:00'\n"
    (tmp_path / "x.bentomodel").write_bytes(tar(member("w", b"1"), manifest=old))
    assert take(tmp_path / "x.bentomodel", here).info.module == "bentoml.sklearn"
