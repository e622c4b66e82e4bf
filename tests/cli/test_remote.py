"""`bentoml push` and `pull` as a person runs them: what they print, where things go, how they fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.commands import Command
from tests.registry.fake_registry import FakeRegistry, running
from tests.registry.items import save_bento, save_model

import bentoml as library
from bentoml.cli._progress import Progress
from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.bentos import BentoStore
from bentoml.store.models import ModelStore


@pytest.fixture(autouse=True)
def no_registry_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENTOML_REGISTRY", raising=False)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running(FakeRegistry()) as fake:
        yield fake


def test_a_model_goes_and_comes_back(
    bentoml: Command, home: Home, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_REGISTRY", f"{registry.host}/team")
    model = save_model(home)
    done = bentoml("models", "push", "iris", "--tag", "latest", "--tag", "prod", "-t", "2")
    assert done.code == 0
    assert done.out.startswith(
        f'Model(tag="{model.tag}") pushed to {registry.host}/team/iris:{model.tag.version}@sha256:'
    )
    assert re.fullmatch(r"6 blobs, \d+\.\d\d KiB sent\n", done.err)
    assert bentoml("models", "push", str(model.tag)).err == "nothing to send\n"
    assert bentoml("models", "push", str(model.tag), "--quiet").err == ""
    ModelStore(home).delete(model.tag)
    for name in ("iris", "iris:prod", f"{registry.host}/team/iris:prod"):
        done = bentoml("models", "pull", name)
        assert (done.code, done.out) == (0, f'Model(tag="{model.tag}") pulled.\n')


def test_a_bento_goes_to_the_repository_that_is_named(
    bentoml: Command, home: Home, registry: FakeRegistry
) -> None:
    model = save_model(home)
    bento = save_bento(home, model)
    done = bentoml("push", "app", f"{registry.host}/releases/words:1.4")
    assert done.code == 0 and f"{registry.host}/releases/words:1.4@sha256:" in done.out
    BentoStore(home).delete(bento.tag)
    ModelStore(home).delete(model.tag)
    done = bentoml("pull", f"{registry.host}/releases/words:1.4", "--with-models")
    assert done.lines == [f'Model(tag="{model.tag}") pulled.', f'Bento(tag="{bento.tag}") pulled.']


@pytest.mark.parametrize(
    "words", [["push", "app"], ["pull", "app"], ["models", "push", "iris"], ["models", "pull", "iris"]]
)
def test_without_a_registry_the_error_says_how_to_name_one(
    bentoml: Command, home: Home, words: list[str]
) -> None:
    save_bento(home, save_model(home))
    done = bentoml(*words)
    assert done.code == 1 and done.out == ""
    assert "BENTOML_REGISTRY" in done.err and "BentoCloud" in done.err and "--registry" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["models", "push", "iris", "no registry/x"],
        ["models", "push", "iris", "--registry", "UPPER/x y"],
        ["models", "push", "iris", "localhost:5000/x", "--tag", "a b"],
        ["models", "push", "iris", "localhost:5000/x", "-t", "0"],
        ["models", "pull", "team/iris"],
        ["models", "pull", "localhost:5000/iris:a:b"],
        ["models", "push", "bad name!", "localhost:5000/x"],
        ["models", "pull", "bad name!", "--registry", "localhost:5000"],
        ["models", "push"],
        ["models", "pull"],
    ],
)
def test_what_names_no_place_is_wrong_usage(bentoml: Command, home: Home, words: list[str]) -> None:
    save_model(home)
    assert bentoml(*words).code == 2


def test_an_unknown_item_or_registry_is_an_error(bentoml: Command, home: Home) -> None:
    save_model(home)
    done = bentoml("models", "push", "nothing", "localhost:1/x")
    assert done.code == 1 and "`nothing` not found in the model store" in done.err
    done = bentoml("models", "push", "iris", "localhost:1/x")
    assert done.code == 1 and "`localhost:1` cannot be reached" in done.err


def test_the_models_of_a_build_file_are_pulled(
    bentoml: Command, home: Home, registry: FakeRegistry, tmp_path: Path
) -> None:
    one, two = save_model(home), save_model(home, "other")
    for model in (one, two):
        bentoml("models", "push", str(model.tag), "--registry", registry.host, "--tag", "latest")
        ModelStore(home).delete(model.tag)
    file = tmp_path / "bentofile.yaml"
    file.write_text(f"service: x:Y\nmodels:\n- {one.tag}\n- tag: other:latest\n  alias: second\n")
    done = bentoml("models", "pull", "-F", str(file), "--registry", registry.host)
    assert done.lines == [f'Model(tag="{one.tag}") pulled.', f'Model(tag="{two.tag}") pulled.']
    assert bentoml("models", "pull", "iris", "-F", str(file)).code == 2


@pytest.mark.parametrize("name", ["iris", "iris@prod"])
def test_an_alias_of_the_store_may_be_pushed(
    bentoml: Command, home: Home, registry: FakeRegistry, name: str
) -> None:
    model = save_model(home)
    ModelStore(home).set_alias("iris@prod", model.tag)
    done = bentoml("models", "push", name, "--registry", registry.host)
    assert f"{registry.host}/iris:{model.tag.version}@sha256:" in done.out


def test_python_does_the_same(home: Home, registry: FakeRegistry) -> None:
    model = save_model(home)
    bento = save_bento(home, model)
    pushed = library.push(bento.tag, registry=f"{registry.host}/team", tags=["latest"])
    assert str(pushed.place) == f"{registry.host}/team/app:{bento.tag.version}" and pushed.sent_bytes > 0
    assert library.bentos.push("app", registry=f"{registry.host}/team").sent_bytes == 0
    library.models.push("iris:latest", repository=f"{registry.host}/m/iris:1")
    library.delete("app")
    library.models.delete("iris")
    assert library.pull("app", registry=f"{registry.host}/team") == bento
    assert library.models.pull(f"{registry.host}/m/iris:1") == model
    with pytest.raises(BentoMLException, match="no registry is named"):
        library.models.push("iris")


@pytest.mark.parametrize("watched", [True, False])
def test_progress_is_shown_on_a_terminal_once_it_takes_long(
    capsys: pytest.CaptureFixture[str], watched: bool
) -> None:
    times = iter([0.0, 1.0, 4.0, 4.05])
    shown = Progress("pushing iris", watched=watched, clock=lambda: next(times))
    shown.expect(4 << 20)
    shown.add(1 << 20)
    assert capsys.readouterr().err == ""
    shown.add(1 << 20)
    shown.add(1 << 20)
    line = "\rpushing iris: 2.00 MiB of 4.00 MiB (50 %), 512.00 KiB/s"
    assert capsys.readouterr().err == (line if watched else "")
    shown.clear()
    assert capsys.readouterr().err.strip() == ""
