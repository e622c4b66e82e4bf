from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.cli.commands import Command

from bentoml import Tag
from bentoml.config import Home
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import ModelStore


def build(home: Home, name: str = "shop", text: str = "code", models: tuple[ModelRef, ...] = ()) -> Bento:
    with BentoStore(home).create(name) as draft:
        (draft.path / "service.py").write_text(text)
        draft.info = BentoInfo(tag=Tag(name), service="service:Shop", models=models)
    return draft.saved


def test_list(bentoml: Command, home: Home) -> None:
    with ModelStore(home).create("iris") as model:
        Path(model.path_of("w")).write_bytes(b"x" * 5000)
    old, new = build(home, "old", "x" * 3000), build(home, models=(ModelRef.of(model.info),))
    rows = json.loads(bentoml("list", "-o", "json").out)
    assert [row["tag"] for row in rows] == [str(new.tag), str(old.tag)]
    assert list(rows[0]) == ["tag", "size", "model_size", "creation_time"]
    assert [row["model_size"] for row in rows] == [f"{model.file_size / 1024:.2f} KiB", "0.00 B"]
    assert rows[1]["size"] == f"{old.file_size / 1024:.2f} KiB"
    assert yaml.safe_load(bentoml("list", "-o", "yaml").out) == rows
    lines = bentoml("list").lines
    assert lines[0].split("  ")[0] == "Tag" and lines[0].endswith("  Creation Time")
    assert lines[1].split("  ")[0] == str(new.tag)
    assert len(bentoml("list", "old").lines) == 2


def test_get(bentoml: Command, home: Home) -> None:
    bento = build(home)
    text = bentoml("get", "shop").out
    assert text == Path(bento.path, "bento.yaml").read_text()
    assert json.loads(bentoml("get", "shop:latest", "-o", "json").out) == yaml.safe_load(text)
    assert bentoml("get", str(bento.tag), "-o", "path").out == f"{bento.path}\n"


def test_delete(bentoml: Command, home: Home) -> None:
    one, two, other = build(home, text="1"), build(home, text="2"), build(home, "other")
    done = bentoml("delete", "--yes", "shop")
    assert sorted(done.lines) == sorted(f'Bento(tag="{b.tag}") deleted.' for b in (one, two))
    assert BentoStore(home).list() == [other]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["get", "none"], 1, "Error: [bentos] `get` failed: bento `none` not found"),
        (["list", "none"], 1, "Error: [bentos] `list` failed: bento with the name `none` not found"),
        (["delete", "none:v1", "-y"], 1, "Error: [bentos] `delete` failed: bento `none:v1` not found"),
        (["get", "a/b"], 2, "Invalid Tag 'a/b'"),
        (["get"], 2, "Missing argument"),
        (["list", "a", "b"], 2, "unexpected extra argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes(bentoml: Command, home: Home, arguments: list[str], code: int, said: str) -> None:
    done = bentoml(*arguments)
    assert (done.code, done.out) == (code, "")
    assert said in " ".join(done.err.split())
    assert not home.root.exists()
