from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from bentoml import Tag
from bentoml.exceptions import BentoMLException
from bentoml.store.damage import find_damage
from bentoml.store.digest import Digest
from bentoml.store.manifest import BentoInfo, ModelContext, ModelInfo, ModelRef
from bentoml.store.tree import Entry, Tree

TREE = Tree.of(
    [Entry("model.pkl", 3, Digest.of(b"abc")), Entry("a: #b", 1, Digest.of(b"x"), executable=True)]
)
MODEL = ModelInfo(
    tag=Tag("iris", "v1"),
    module="bentoml.sklearn",
    labels={"stage": "prod", "odd": "on\nfiles:\n- {"},
    options={"fast": True},
    metadata={
        "acc": 0.5,
        "when": date(2026, 1, 2),
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "b": b"\0",
        "c": 1j,
        "e": 1e20,
    },
    context=ModelContext("sklearn", {"scikit-learn": "1.6"}),
    signatures={"predict": {"batchable": True, "batch_dim": [0, 0]}},
    creation_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    digest=Digest.of(b""),
    listing=TREE.lines(),
)
REF = ModelRef.of(MODEL, alias="best")
BENTO = BentoInfo(
    tag=Tag("shop", "v2"),
    service="service:Shop",
    entry_service="Shop",
    labels={"owner": "us"},
    models=(REF,),
    services=(
        {"name": "Shop", "service": "", "models": [ModelRef(tag=Tag("other", "1")).to_data()], "config": {}},
    ),
    envs=({"name": "X", "value": "1", "stage": "runtime"},),
    schema={"routes": [{"name": "buy", "timeout": 0.5}]},
    args={"n": 1},
    image={"python_version": "3.11"},
    description="sells",
    creation_time=datetime(2026, 1, 2, tzinfo=UTC),
    digest=Digest.of(b""),
    listing=TREE.lines(),
)

# As BentoML 1.4 writes them: no digest, no files; the keys in this order.
OLD_MODEL = """\
name: summarization-model
version: m7lmf5ac2cmubnnz
module: ''
labels: {}
options: {}
metadata:
  shape: !!python/tuple
  - 1
  - 2
context:
  framework_name: ''
  framework_versions: {}
  bentoml_version: 1.2.11
  python_version: 3.11.5
signatures: {}
api_version: v1
creation_time: '2024-04-25T06:52:39.123456+00:00'
"""
OLD_BENTO = """\
service: service:svc
name: credit
version: gl7abc
bentoml_version: 1.0.7
creation_time: '2022-10-01T00:00:00+00:00'
labels: {owner: team}
models:
- iris:v1
- tag: other:v2
  module: bentoml.xgboost
  creation_time: '2022-09-01T00:00:00+00:00'
runners:
- name: r
  runnable_type: x
  models: [iris:v1]
apis: []
docker: {distro: debian}
conda: {}
"""


@pytest.mark.parametrize(
    "info", [MODEL, BENTO, replace(MODEL, listing=""), replace(BENTO, digest=None, listing="")]
)
def test_a_manifest_is_read_as_it_was_written(info: Any) -> None:
    assert type(info).from_yaml(info.to_yaml()) == info


@pytest.mark.parametrize("info", [MODEL, BENTO])
def test_the_files_are_read_from_the_text(info: Any) -> None:
    read = type(info).from_yaml(info.to_yaml())
    assert read.files == TREE
    assert read.identity(read.files) == info.identity(TREE)


@pytest.mark.parametrize("sort_keys", [True, False])
def test_a_manifest_that_another_program_wrote_again_still_has_its_files(sort_keys: bool) -> None:
    text = yaml.safe_dump(yaml.safe_load(replace(MODEL, metadata={}).to_yaml()), sort_keys=sort_keys)
    assert ModelInfo.from_yaml(text) == replace(MODEL, metadata={})


def test_the_keys_are_those_of_bentoml() -> None:
    assert list(yaml.safe_load(replace(MODEL, metadata={}).to_yaml())) == [
        "name", "version", "module", "labels", "options", "metadata", "context", "signatures", "api_version",
        "creation_time", "digest", "checksum", "files",
    ]  # fmt: skip
    assert list(yaml.safe_load(BENTO.to_yaml())) == [
        "service", "name", "version", "bentoml_version", "creation_time", "labels", "description", "models",
        "entry_service", "services", "envs", "schema", "args", "spec", "image", "digest", "checksum",
        "files",
    ]  # fmt: skip


def test_a_model_of_1_x_is_read() -> None:
    info = ModelInfo.from_yaml(OLD_MODEL)
    assert info.tag == Tag("summarization-model", "m7lmf5ac2cmubnnz")
    assert info.metadata == {"shape": [1, 2]}
    assert info.context.bentoml_version == "1.2.11"
    assert info.creation_time == datetime(2024, 4, 25, 6, 52, 39, 123456, tzinfo=UTC)
    assert (info.digest, info.files) == (None, Tree())


def test_a_bento_of_1_0_is_read() -> None:
    info = BentoInfo.from_yaml(OLD_BENTO)
    assert [ref.tag for ref in info.all_models] == [Tag("iris", "v1"), Tag("other", "v2")]
    assert (info.service, info.entry_service, info.labels) == ("service:svc", "", {"owner": "team"})


def test_all_models_are_those_of_the_services_too() -> None:
    assert {(ref.tag, ref.alias) for ref in BENTO.all_models} == {
        (Tag("other", "1"), None),
        (Tag("iris", "v1"), "best"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "", "just text", "name: iris\n", OLD_MODEL.replace("iris", "../x").replace("summarization-model", "a/b"),
        OLD_MODEL.replace("labels: {}", "labels: 1"), OLD_MODEL.replace("'2024-04-25T06:52:39.123456+00:00'", "soon"),
        OLD_MODEL + "digest: md5:1\n", OLD_MODEL + "files: 1\n", OLD_MODEL + "files:\n- x\n",
        OLD_MODEL.replace("labels: {}", "labels: [a"), OLD_MODEL.replace("module: ''", "module: {}"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_our_error(text: str) -> None:
    with pytest.raises(BentoMLException):
        ModelInfo.from_yaml(text)


SAME = {
    "clock": replace(MODEL, creation_time=datetime(2027, 1, 1, tzinfo=UTC)),
    "version": replace(MODEL, tag=Tag("iris", "v9")),
    "host": replace(MODEL, context=ModelContext("sklearn", {"scikit-learn": "1.7"}, "0.0", "3.14")),
}
OTHER = {
    "name": replace(MODEL, tag=Tag("rose", "v1")),
    "module": replace(MODEL, module="x"),
    "api_version": replace(MODEL, api_version="v2"),
    "signatures": replace(MODEL, signatures={}),
    "options": replace(MODEL, options={}),
    "labels": replace(MODEL, labels={}),
    "metadata": replace(MODEL, metadata={**MODEL.metadata, "acc": "0.5"}),
}


@pytest.mark.parametrize("info", SAME.values(), ids=SAME)
def test_clock_and_host_are_not_identity(info: ModelInfo) -> None:
    assert info.identity(TREE) == MODEL.identity(TREE)


@pytest.mark.parametrize("info", OTHER.values(), ids=OTHER)
def test_the_declaration_is_identity(info: ModelInfo) -> None:
    assert info.identity(TREE) != MODEL.identity(TREE)


def test_the_content_is_identity() -> None:
    assert MODEL.identity(Tree()) != MODEL.identity(TREE)


def test_the_identity_of_a_model_never_changes() -> None:
    """Whatever changes this digest gives every stored model another tag: it must not happen by accident."""
    assert (
        str(MODEL.identity(TREE)) == "sha256:980ed9766e2f0126ae6b47281d8896332c2a393c5dbc8422719613e5fbcdf71c"
    )


def test_the_identity_of_a_bento() -> None:
    identity = BENTO.identity(TREE)
    later = datetime(2027, 1, 1, tzinfo=UTC)
    service = {
        **BENTO.services[0],
        "models": [replace(ModelRef(tag=Tag("other", "1")), creation_time=later).to_data()],
    }
    for same in (
        replace(BENTO, creation_time=later, bentoml_version="9", tag=Tag("shop", "v9")),
        replace(BENTO, models=(replace(REF, creation_time=later),), services=(service,)),
    ):
        assert same.identity(TREE) == identity
    for other in (
        replace(BENTO, models=(replace(REF, digest=Digest.of(b"other")),)),
        replace(BENTO, models=(replace(REF, alias=None),)),
        replace(BENTO, services=()),
        replace(BENTO, description="buys"),
        replace(BENTO, image={}),
    ):
        assert other.identity(TREE) != identity


@pytest.mark.parametrize("info", [MODEL, BENTO], ids=["model", "bento"])
def test_a_flipped_bit_is_noticed_whatever_it_changes(info: Any, tmp_path: Path) -> None:
    """But for the few that change nothing of what the text means, as from `null` to `Null`."""
    whole = replace(info, digest=info.identity(info.files))
    raw = whole.to_yaml().encode()
    unnoticed = []
    for place in range(len(raw)):
        text = bytes([*raw[:place], raw[place] ^ (1 << place % 8), *raw[place + 1 :]])
        try:
            read = type(info).from_yaml(text.decode())
        except (BentoMLException, UnicodeDecodeError):
            continue
        if not any(damage.path == info.FILE for damage in find_damage(tmp_path, read)):
            unnoticed.append((text, read))
    assert len(unnoticed) < len(raw) / 100
    assert all(read == whole for _, read in unnoticed)


@pytest.mark.parametrize(
    "models", ["1", "[1]", "[{}]", "[{tag: Bad Tag}]", "{a: 1}", "[{tag: [1]}]", "['a b']"], ids=str
)
def test_models_that_are_none_are_an_error_of_the_manifest(models: str) -> None:
    text = yaml.safe_dump(yaml.safe_load(replace(BENTO, digest=None, models=(), services=()).to_yaml()))
    for wrong in (
        text.replace("models: []", f"models: {models}"),
        text.replace("services: []", f"services:\n- name: x\n  models: {models}"),
    ):
        assert wrong != text
        with pytest.raises(BentoMLException):
            BentoInfo.from_yaml(wrong)
