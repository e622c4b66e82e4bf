from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from tests.cli.commands import Command
from tests.store.flips import flip, flip_unseen

from bentoml import Tag
from bentoml.config import Home
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import Model, ModelStore


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where `gc` looks for what builds left


def save(home: Home, name: str, text: str = "weights", **declaration: dict[str, str]) -> Model:
    with ModelStore(home).create(name, **declaration) as model:  # type: ignore[arg-type]  # labels or metadata
        Path(model.path_of("w")).write_text(text)
    return model


def build(home: Home, *models: Model, name: str = "shop", labels: dict[str, str] | None = None) -> Bento:
    with BentoStore(home).create(name) as draft:
        (draft.path / "service.py").write_text("code")
        refs = tuple(ModelRef.of(model.info) for model in models)
        draft.info = BentoInfo(tag=Tag(name), models=refs, labels=labels or {})
    return draft.saved


# -- verify


def test_a_store_that_is_whole(bentoml: Command, home: Home) -> None:
    build(home, save(home, "iris"))
    done = bentoml("verify")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("read, nothing is damaged\n")
    assert bentoml("verify", "-o", "json").out == "[]\n"
    assert bentoml("verify", "-q").err == ""


def test_an_empty_store_is_whole_and_not_made(bentoml: Command, home: Home) -> None:
    for words in (["verify"], ["models", "verify"], ["gc"], ["gc", "--dry-run"], ["du"], ["alias"]):
        assert bentoml(*words).code == 0, words
    assert not home.root.exists()


def test_each_damaged_file_is_named(bentoml: Command, home: Home) -> None:
    model, other = save(home, "iris"), save(home, "rose", "other")
    bento = build(home, model)
    flip(model.path_of("w"))
    flip_unseen(other.path_of("w"))
    flip(bento.path_of("bento.yaml"), at=40)
    done = bentoml("verify")
    assert done.code == 1
    assert [line.partition(" `w`")[0] for line in done.lines[1:]] == [
        f"model `{m.tag}`:" for m in (model, other)
    ]
    assert done.lines[0].startswith(f"bento `{bento.tag}`: `bento.yaml` ")
    assert "3 damaged" in done.err
    rows = json.loads(bentoml("models", "verify", "-o", "json").out)
    assert rows == [
        {"kind": "model", "tag": str(m.tag), "path": "w", "damage": "has other content than what was stored"}
        for m in (model, other)
    ]


def test_a_bento_is_verified_with_its_models(bentoml: Command, home: Home) -> None:
    model, other = save(home, "iris"), save(home, "rose", "other")
    bento = build(home, model)
    flip(model.path_of("w"))
    flip(other.path_of("w"))
    for words in (
        ["verify", str(bento.tag)],
        ["verify", "shop"],
        ["verify", "iris"],
        ["models", "verify", "iris"],
    ):
        done = bentoml(*words)
        assert (done.code, len(done.lines)) == (1, 1), words
        assert str(model.tag) in done.out
    assert bentoml("verify", "shop", "rose").out.count("has other content") == 2
    done = bentoml("verify", "none")
    assert done.code == 1 and "bento with the name `none` not found" in done.err


def test_a_damaged_item_is_refused_everywhere(bentoml: Command, home: Home) -> None:
    model = save(home, "iris")
    bento = build(home, model)
    flip(model.path_of("w"))
    flip(bento.path_of("service.py"))
    for words in (["models", "get", "iris"], ["get", "shop"], ["containerize", "shop"]):
        done = bentoml(*words)
        assert done.code != 0, words
        assert "is damaged: `" in done.err, words


# -- gc


def test_gc_says_what_and_how_much(bentoml: Command, home: Home) -> None:
    save(home, "iris")
    blob = home.blobs / "sha256" / "ab" / ("ab" * 32)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x" * 2048)
    dry = bentoml("gc", "--dry-run")
    assert dry.lines == [
        "Kind  Name" + " " * 62 + "Size",
        f"blob  {'ab' * 32}  2.00 KiB",
        "2.00 KiB would be freed.",
    ]
    assert blob.exists()
    assert json.loads(bentoml("gc", "--dry-run", "-o", "json").out) == [
        {"kind": "blob", "name": "ab" * 32, "size": 2048}
    ]
    assert bentoml("gc").lines[-1] == "2.00 KiB freed."
    assert not blob.exists()
    assert bentoml("gc").lines == ["0.00 B freed."]


def test_caches_go_only_when_asked_for(bentoml: Command, home: Home) -> None:
    file = home.cache / "oci" / "blob"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 2048)
    assert bentoml("gc").lines == ["0.00 B freed."]
    assert bentoml("gc", "--caches", "--dry-run").lines[1:] == [
        "cache  cache/oci  2.00 KiB",
        "2.00 KiB would be freed.",
    ]
    assert bentoml("gc", "--caches").lines[-1] == "2.00 KiB freed."
    assert not file.exists()
    assert bentoml("gc", "--caches").lines == ["0.00 B freed."]


def test_models_go_only_when_asked_for(bentoml: Command, home: Home) -> None:
    kept, gone = save(home, "kept"), save(home, "gone")
    build(home, kept)
    assert bentoml("gc").lines == ["0.00 B freed."]
    assert f"model  {gone.tag}" in bentoml("gc", "--unused-models", "--dry-run").out
    assert f"model  {gone.tag}" in bentoml("gc", "--unused-models").out
    assert ModelStore(home).list() == [kept]


# -- du


def test_du(bentoml: Command, home: Home) -> None:
    save(home, "iris:v1", "x" * 5000)
    save(home, "iris:v2", "x" * 5000, labels={"a": "b"})
    build(home)
    done = bentoml("du")
    assert done.lines[0].split() == ["Kind", "Tag", "Size", "Own"]
    assert [line.split()[:2] for line in done.lines[1:4]] == [
        ["model", "iris"],
        ["model", "iris:v1"],
        ["model", "iris:v2"],
    ]
    assert done.lines[4].split()[0] == "bento"
    assert [line.split()[0] for line in done.lines[6:]] == [
        "Together", "items", "shared", "blobs", "staging", "garbage",
    ]  # fmt: skip
    data = json.loads(bentoml("du", "-o", "json").out)
    assert list(data) == ["models", "bentos", "items", "shared", "blobs", "caches", "staging", "garbage"]
    assert (data["shared"], data["garbage"]) == (5000, 0)
    assert [item["tag"] for item in data["models"][0]["items"]] == ["iris:v1", "iris:v2"]


# -- alias


def test_an_alias_from_its_beginning_to_its_end(bentoml: Command, home: Home) -> None:
    for version in ("v1", "v2"):
        save(home, f"iris:{version}", version)
    assert bentoml("models", "alias", "iris@prod", "iris:v1").lines == ["iris@prod names iris:v1."]
    assert bentoml("models", "alias", "iris@prod", "iris:v2").lines == [
        "iris@prod names iris:v2, before iris:v1."
    ]
    assert bentoml("models", "alias", "iris@prod").lines == ["iris:v2"]
    assert bentoml("models", "alias").lines == ["Alias      Tag", "iris@prod  iris:v2"]
    assert json.loads(bentoml("models", "alias", "-o", "json").out) == [
        {"alias": "iris@prod", "tag": "iris:v2"}
    ]
    assert "version: v2" in bentoml("models", "get", "iris@prod").out
    assert bentoml("models", "list", "iris@prod").lines[1].startswith("iris:v2 ")
    refused = bentoml("models", "delete", "-y", "iris:v1", "iris@prod")
    assert (
        refused.code == 1 and "model `iris:v2` is what `iris@prod` names and can't be deleted" in refused.err
    )
    assert len(ModelStore(home).list()) == 2, "nothing is deleted unless all may be"
    assert bentoml("models", "alias", "iris@prod", "--delete").lines == [
        "iris@prod deleted; it named iris:v2."
    ]
    log = [line.split()[2:] for line in bentoml("models", "alias", "iris@prod", "--log").lines[1:]]
    assert log == [["-", "v1"], ["v1", "v2"], ["v2", "-"]]
    assert bentoml("models", "delete", "-y", "iris").code == 0


def test_force_deletes_what_an_alias_names(bentoml: Command, home: Home) -> None:
    bento = build(home)
    assert bentoml("alias", "shop@prod", "shop").lines == [f"shop@prod names {bento.tag}."]
    assert bentoml("get", "shop@prod", "-o", "path").out == f"{bento.path}\n"
    assert bentoml("delete", "-y", "shop").code == 1
    assert bentoml("delete", "-y", "--force", "shop").lines == [f'Bento(tag="{bento.tag}") deleted.']
    assert bentoml("alias").lines == ["Alias  Tag"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["alias", "iris"], 2, "is not of the form NAME@ALIAS"),
        (["alias", "iris@latest", "iris"], 2, "`iris:latest`; choose another alias"),
        (["alias", "../x@prod", "iris"], 2, "Invalid alias"),
        (["alias", "iris@prod", "iris:"], 2, "trailing ':'"),
        (["alias", "--delete"], 2, "name the alias"),
        (["alias", "--log"], 2, "name the alias"),
        (["alias", "iris@prod", "iris", "--delete"], 2, "exclude one another"),
        (["alias", "iris@prod"], 1, "Error: [bentos] `alias` failed: bento alias `iris@prod` not found"),
        (["alias", "iris@prod", "--delete"], 1, "not found"),
        (["alias", "iris@prod", "--log"], 1, "not found"),
        (["alias", "iris@prod", "iris"], 1, "bento `iris` not found"),
        (["get", "iris@prod"], 1, "bento alias `iris@prod` not found"),
        (["get", "iris@@"], 2, "Invalid alias"),
        (["verify", "a b"], 2, "Invalid Tag"),
        (["verify", "-o", "yaml"], 2, "`yaml` is not one of `table`, `json`"),
        (["gc", "everything"], 2, "unexpected extra argument"),
        (["list", "--label", "=x"], 2, "is not of the form KEY or KEY=VALUE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
@pytest.mark.parametrize("group", [[], ["models"]], ids=["bentos", "models"])
def test_mistakes(
    bentoml: Command, home: Home, group: list[str], arguments: list[str], code: int, said: str
) -> None:
    if group and arguments[0] == "gc":
        group = []
    done = bentoml(*group, *arguments)
    said = said.replace("[bentos]", "[models]").replace("bento ", "model ") if group else said
    assert (done.code, done.out) == (code, "")
    assert said in " ".join(done.err.split())
    assert not home.root.exists()


# -- search


def test_models_are_found_by_label_metadata_and_name(bentoml: Command, home: Home) -> None:
    save(home, "iris:v1", "1", labels={"stage": "prod"}, metadata={"acc": "0.9"})
    save(home, "iris:v2", "2", labels={"stage": "test"})
    save(home, "rose:v1", "3", labels={"stage": "prod", "owner": "me"})

    def found(*words: str) -> list[str]:
        return sorted(row["tag"] for row in json.loads(bentoml("models", "list", *words, "-o", "json").out))

    assert found("--label", "stage=prod") == ["iris:v1", "rose:v1"]
    assert found("--label", "stage=prod", "--label", "owner") == ["rose:v1"]
    assert found("--metadata", "acc=0.9") == found("--metadata", "acc") == ["iris:v1"]
    assert found("--name", "ir*") == ["iris:v1", "iris:v2"]
    assert found("iris", "--label", "stage=test") == ["iris:v2"]
    assert found("--label", "none") == []


def test_bentos_are_found_by_label_and_name(bentoml: Command, home: Home) -> None:
    build(home, name="shop", labels={"stage": "prod"})
    build(home, name="stop")
    assert [line.split(":")[0] for line in bentoml("list", "--label", "stage").lines[1:]] == ["shop"]
    assert [line.split(":")[0] for line in bentoml("list", "--name", "?top").lines[1:]] == ["stop"]


# -- a listing is never broken


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0", b"\xff\xfe", b"just text", b"- a list", b"{", b"a: *b", b"name: [", b"name: 1\nversion: 2\n", b"? [a]\n: b",
        b"x: !!python/object/apply:os.system [ls]", b"a: &a [*a]", b"name: iris\nversion: v1\nlabels: 1\n",
        b"name: iris\nversion: v1\ncreation_time: 0000-00-00\n", b"name: iris\nversion: v1\ncreation_time: 2026-13-45\n",
        b"name: iris\nversion: v1\ncreation_time: 2024-01-01\ndigest: x\n",
        b"name: iris\nversion: v1\ncreation_time: 2024-01-01\nfiles: {}\n", b"name: iris\nname: iris\n", b"<<: 1\n",
        b"name: iris\nversion: v1\ncreation_time: 2024-01-01\nmodels: [{tag: [1]}]\nservices: [{models: 3}]\n",
        b"[" * 500, b"name: iris\nversion: v1\ncreation_time: 2024-01-01\nmetadata: !!set {a}\nsignatures: [1]\nenvs: 3\n",
        b"name: iris\nversion: v1\ncreation_time: '9999-99-99'\ncontext: 1\nimage: 1\n",
    ],
    ids=lambda content: repr(content[:60]),
)  # fmt: skip
def test_no_damaged_manifest_breaks_a_listing(
    bentoml: Command, home: Home, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    model = save(home, "good")
    bento = build(home, model, name="good")
    for file in (home.models / "iris/v1/model.yaml", home.bentos / "iris/v1/bento.yaml"):
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    for group, tag in (("models", model.tag), ("", bento.tag)):
        words = [group] if group else []
        done = bentoml(*words, "list")
        assert done.code == 0 and str(tag) in done.out
        assert "Traceback" not in done.err
        if "iris:v1" not in done.out:
            assert " `iris:v1` is damaged" in caplog.text
        assert "Traceback" not in bentoml(*words, "verify").err
        assert "Traceback" not in bentoml(*words, "get", "iris").err
    assert bentoml("du").code == 0
    assert bentoml("models", "delete", "-y", "iris").code == 0
    assert bentoml("delete", "-y", "iris").code == 0


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "loop", "unreadable"])
def test_no_manifest_that_is_no_file_breaks_a_listing(
    bentoml: Command, home: Home, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    model = save(home, "good")
    file = home.models / "iris/v1/model.yaml"
    file.parent.mkdir(parents=True)
    match kind:
        case "folder":
            file.mkdir()
        case "link":
            file.symlink_to("nowhere")
        case "loop":
            file.symlink_to("model.yaml")
        case "unreadable":
            file.write_text("name: iris")
            file.chmod(0)
    done = bentoml("models", "list")
    assert done.code == 0 and str(model.tag) in done.out and "`iris:v1` is damaged" in caplog.text
    done = bentoml("models", "verify")
    assert done.code == 1 and "model `iris:v1`: `model.yaml` cannot be read" in done.out
    assert bentoml("models", "delete", "-y", "iris").code == 0
