from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from tests.cli.commands import Command

from bentoml import Tag
from bentoml.config import Home
from bentoml.store.bentos import BentoStore
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import Model, ModelStore


def save(home: Home, name: str, size: int = 10, module: str = "") -> Model:
    with ModelStore(home).create(name, module=module) as model:
        Path(model.path_of("weights.bin")).write_bytes(b"x" * size)
    return model


def test_the_list_looks_as_people_know_it(bentoml: Command, home: Home) -> None:
    small, large = (
        save(home, "iris", module="bentoml.sklearn"),
        save(home, "mistralai--mistral-7b-v0.1" * 2, 3 << 20),
    )
    done = bentoml("models", "list")
    width = len(str(large.tag))
    time = small.creation_time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert done.code == 0
    assert done.lines[0] == f"{'Tag':{width}}  {'Module':15}  {'Size':8}  Creation Time"
    assert done.lines[1].startswith(f"{large.tag}  {'':15}  3.00 MiB  ")
    assert done.lines[2] == f"{small.tag!s:{width}}  bentoml.sklearn  {small.file_size}.00 B  {time}"
    assert len(done.lines) == 3


def test_an_empty_store_lists_nothing_and_is_not_made(bentoml: Command, home: Home) -> None:
    assert bentoml("models", "list").lines == ["Tag  Module  Size  Creation Time"]
    assert json.loads(bentoml("models", "list", "-o", "json").out) == []
    assert not home.root.exists()


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_the_list_can_be_read_by_programs(bentoml: Command, home: Home, output: str) -> None:
    model = save(home, "iris", module="bentoml.sklearn")
    done = bentoml("models", "list", "-o", output)
    assert yaml.safe_load(done.out) == [
        {
            "tag": str(model.tag),
            "module": "bentoml.sklearn",
            "size": f"{model.file_size}.00 B",
            "creation_time": model.creation_time.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        }
    ]
    if output == "json":
        assert json.loads(done.out) == yaml.safe_load(done.out)


def test_a_name_narrows_the_list(bentoml: Command, home: Home) -> None:
    iris, _ = save(home, "iris"), save(home, "rose")
    assert [line.split()[0] for line in bentoml("models", "list", "iris").lines[1:]] == [str(iris.tag)]
    done = bentoml("models", "list", "none")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error: [models] `list` failed: model with the name `none` not found")


def test_get(bentoml: Command, home: Home) -> None:
    model = save(home, "iris")
    assert bentoml("models", "get", "iris", "-o", "path").out == f"{model.path}\n"
    text = bentoml("models", "get", str(model.tag)).out
    assert text == Path(model.path, "model.yaml").read_text()
    assert json.loads(bentoml("models", "get", "iris:latest", "-o", "json").out) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["get", "none:v1"], 1, "Error: [models] `get` failed: model `none:v1` not found"),
        (["get", "Bad Name"], 2, "Invalid Tag 'Bad Name'"),
        (["get", "iris:"], 2, "contains trailing ':'"),
        (["get", "../../etc:passwd"], 2, "Invalid Tag"),
        (["get"], 2, "Missing argument"),
        (["list", "-o", "xml"], 2, "`xml` is not one of `table`"),
        (["delete"], 2, "Missing argument"),
        (["delete", ",", "-y"], 2, "at least one"),
        (["delete", "none", "-y"], 1, "model with the name `none` not found"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes(bentoml: Command, home: Home, arguments: list[str], code: int, said: str) -> None:
    done = bentoml("models", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert not home.root.exists()


def test_delete_names_tags_and_lists_of_them(bentoml: Command, home: Home) -> None:
    iris, rose = [save(home, "iris", size) for size in (1, 2)], save(home, "rose")
    kept = save(home, "kept")
    done = bentoml("models", "delete", "-y", f"iris, {rose.tag}", f"{iris[0].tag}")
    assert done.code == 0
    assert sorted(done.lines) == sorted(f'Model(tag="{m.tag}") deleted.' for m in [*iris, rose])
    assert ModelStore(home).list() == [kept]


def test_nothing_is_deleted_if_a_target_is_wrong(bentoml: Command, home: Home) -> None:
    model = save(home, "iris")
    assert bentoml("models", "delete", "-y", "iris", "none").code == 1
    assert ModelStore(home).list() == [model]


@pytest.mark.parametrize(("answer", "left"), [("y\nn\n", 1), ("n\nn\n", 2), ("y\ny\n", 0)])
def test_delete_asks(
    bentoml: Command, home: Home, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    save(home, "iris", 1)
    save(home, "iris", 2)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    done = bentoml("models", "delete", "iris")
    assert done.code == 0
    assert "delete model iris:" in done.err
    assert "delete model" not in done.out
    assert len(ModelStore(home).list()) == left


@pytest.mark.parametrize("stdin", [io.StringIO(""), None], ids=["empty", "closed"])
def test_no_answer_is_no(
    bentoml: Command, home: Home, monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO | None
) -> None:
    save(home, "iris")
    monkeypatch.setattr(sys, "stdin", stdin)
    done = bentoml("models", "delete", "iris")
    assert (done.code, done.out) == (1, "")
    assert "give --yes" in done.err
    assert len(ModelStore(home).list()) == 1


def test_a_model_that_a_bento_needs_is_not_deleted(bentoml: Command, home: Home) -> None:
    model, free = save(home, "iris"), save(home, "free")
    with BentoStore(home).create("shop") as draft:
        draft.info = BentoInfo(tag=Tag("shop"), models=(replace(ModelRef.of(model.info), alias="a"),))
    done = bentoml("models", "delete", "-y", "free", "iris")
    assert done.code == 1
    assert (
        f"Model {model.tag} is being used by the following bentos and can't be deleted:\n  {draft.saved.tag}\n"
        in done.err
    )
    assert ModelStore(home).list() == [free, model]


def test_a_damaged_model_is_told_and_can_be_deleted(bentoml: Command, home: Home) -> None:
    save(home, "iris")
    (home.models / "bad" / "v1").mkdir(parents=True)
    done = bentoml("models", "list")
    assert done.code == 0 and len(done.lines) == 2
    assert bentoml("models", "get", "bad:v1").code == 1
    assert bentoml("models", "delete", "-y", "bad").lines == ['Model(tag="bad:v1") deleted.']


def test_a_home_that_is_a_file_is_said(bentoml: Command, home: Home) -> None:
    home.root.touch()
    done = bentoml("models", "list")
    assert done.code == 1 and "cannot be listed" in done.err


def test_output_into_a_pipe_is_whole(home: Home) -> None:
    name = "a" * 63
    with ModelStore(home).create(f"{name}:{'b' * 63}", module="c" * 80):
        pass
    env = {**os.environ, "COLUMNS": "40"}
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "models", "list"], env=env, capture_output=True, text=True
    )
    assert f"{name}:{'b' * 63}  {'c' * 80}  " in done.stdout
    assert done.stderr == ""


def test_the_store_itself_may_come_from_1_x(bentoml: Command, home: Home) -> None:
    folder = home.models / "old" / "m7lmf5ac2cmubnnz"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(
        "name: old\nversion: m7lmf5ac2cmubnnz\nmodule: ''\nlabels: {}\nmetadata: {}\nsignatures: {}\napi_version: v1\n"
        f"creation_time: '{datetime(2024, 4, 25, tzinfo=UTC).isoformat()}'\n"
    )
    size = (folder / "model.yaml").stat().st_size
    assert bentoml("models", "list").lines[1].split()[:3] == ["old:m7lmf5ac2cmubnnz", f"{size}.00", "B"]
    assert bentoml("models", "get", "old:m7", "-o", "path").out == f"{folder}\n"


def test_a_locale_without_the_letters_of_a_manifest(home: Home) -> None:
    with ModelStore(home).create("iris", labels={"owner": "Jos\u00e9"}):
        pass
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "models", "get", "iris"],
        env={"BENTOML_HOME": str(home.root), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "owner: Jos\\xe9" in done.stdout
