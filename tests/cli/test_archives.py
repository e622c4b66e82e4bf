"""`bentoml export`, `import` and `models trust`: what they print, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.commands import Command

import bentoml as library
from bentoml.config import Home
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import Model, ModelStore
from bentoml.tag import Tag


@pytest.fixture
def iris(home: Home) -> Model:
    with ModelStore(home).create("iris:v1", custom_objects={"a": 1}) as model:
        Path(model.path_of("w")).write_text("1")
    return model


@pytest.fixture
def shop(home: Home, iris: Model) -> Bento:
    with BentoStore(home).create("shop", version="v1") as draft:
        (draft.path / "README.md").write_text("A shop")
        draft.info = BentoInfo(tag=Tag("shop", "v0"), service="s:S", models=(ModelRef.of(iris.info),))
    return draft.saved


def elsewhere(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Go to another machine."""
    other = home.root.with_name("elsewhere")
    monkeypatch.setenv("BENTOML_HOME", str(other))
    return Home(other)


def test_a_model_travels(bentoml: Command, home: Home, iris: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home.root.parent
    done = bentoml("models", "export", "iris", str(folder))
    path = folder / "iris-v1.bentomodel"
    assert (done.code, done.out, done.err) == (0, f'Model(tag="iris:v1") exported to {path}.\n', "")
    other = elsewhere(home, monkeypatch)
    done = bentoml("models", "import", str(path))
    assert (done.code, done.out) == (0, 'Model(tag="iris:v1") imported.\n')
    assert done.err == (
        'Model(tag="iris:v1") holds pickled content, which can run any code when it is loaded: custom_objects.pkl\n'
        "if you trust where it came from: bentoml models trust iris:v1\n"
    )
    assert (
        bentoml("models", "import", str(path)).out == 'Model(tag="iris:v1") imported: it was there already.\n'
    )
    done = bentoml("models", "trust", "iris")
    assert (done.code, done.out) == (0, 'Model(tag="iris:v1") is trusted: custom_objects.pkl.\n')
    assert ModelStore(other).get("iris").custom_objects == {"a": 1}


def test_a_bento_travels_with_its_models(
    bentoml: Command, home: Home, shop: Bento, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home.root.parent / "x.zip"
    assert bentoml("export", "shop", str(path)).out == f'Bento(tag="shop:v1") exported to {path}.\n'
    other = elsewhere(home, monkeypatch)
    done = bentoml("import", "--trust", str(path))
    assert (done.code, done.err) == (0, "")
    assert done.out == 'Model(tag="iris:v1") imported.\nBento(tag="shop:v1") imported.\n'
    assert ModelStore(other).get("iris:v1").custom_objects == {"a": 1}


def test_the_format_may_be_said(bentoml: Command, home: Home, iris: Model) -> None:
    path = home.root.parent / "x"
    assert bentoml("models", "export", "iris", str(path), "-o", "tar").code == 0
    assert bentoml("models", "import", str(path), "-i", "tar").code == 0
    done = bentoml("models", "import", str(path), "-i", "zip")
    assert done.code == 1
    assert done.err == f"Error: [models] `import` failed: `{path}` is not imported: it is `tar`, not `zip`\n"


def test_weights_become_a_model(bentoml: Command, home: Home) -> None:
    file = home.root.parent / "weights.txt"
    file.write_text("1 2 3")
    done = bentoml("models", "import", str(file), "--name", "numbers:v1")
    assert (done.code, done.out, done.err) == (0, 'Model(tag="numbers:v1") imported.\n', "")
    done = bentoml("models", "import", str(file))
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("it is no archive; to store the file as it is, give the model a name\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["models", "export", "none"], 1, "Error: [models] `export` failed: model `none` not found"),
        (["export", "none"], 1, "Error: [bentos] `export` failed: bento `none` not found"),
        (["models", "export", "iris", "x", "-o", "rar"], 2, "Unsupported format `rar`"),
        (["models", "export", "iris", "nope://x"], 2, "Unknown or unsupported protocol `nope`"),
        (["models", "import", "nope://x"], 2, "Unknown or unsupported protocol `nope`"),
        (
            ["models", "import", "/none/such"],
            1,
            "Error: [models] `import` failed: `/none/such` does not exist",
        ),
        (["import", "/none/such"], 1, "Error: [bentos] `import` failed: `/none/such` does not exist"),
        (["models", "export", "IRIS:"], 2, "trailing"),
        (["models", "trust", "none"], 1, "not found"),
        (["models", "import", "x", "--name", "a b"], 2, "Invalid Tag"),
    ],
)
def test_what_goes_wrong(bentoml: Command, iris: Model, arguments: list[str], code: int, said: str) -> None:
    done = bentoml(*arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_what_was_made_here_needs_no_trust(bentoml: Command, iris: Model) -> None:
    done = bentoml("models", "trust", "iris")
    assert done.out == 'Model(tag="iris:v1") needs no trust: it was made here, or holds no pickled content.\n'


def test_quiet_says_nothing_of_trust(
    bentoml: Command, home: Home, iris: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = iris.export(home.root.parent / "x.tar")
    elsewhere(home, monkeypatch)
    done = bentoml("models", "import", path, "-q")
    assert (done.code, done.err) == (0, "")


def test_the_functions_do_the_same(home: Home, shop: Bento, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home.root.parent
    model = library.models.export_model("iris", folder / "m", "zip")
    bento = library.export_bento("shop", folder, subpath="b.tar")
    assert (model, bento) == (str(folder / "m"), str(folder / "b.tar"))
    assert shop.export(folder / "c.tar") == str(folder / "c.tar")
    assert (folder / "b.tar").read_bytes() == (folder / "c.tar").read_bytes()
    elsewhere(home, monkeypatch)
    assert library.models.import_model(model, trust=True).custom_objects == {"a": 1}
    assert library.bentos.import_bento(bento) == shop
    assert library.models.trust("iris") is not None


def test_a_bento_whose_model_is_gone_cannot_be_exported(home: Home, shop: Bento) -> None:
    ModelStore(home).delete("iris:v1")
    with pytest.raises(library.exceptions.NotFound, match="model `iris:v1` not found"):
        shop.export(home.root.parent / "x.tar")


def test_a_bento_whose_model_is_another_one_cannot_be_exported(home: Home, shop: Bento) -> None:
    ModelStore(home).delete("iris:v1")
    with ModelStore(home).create("iris:v1"):
        pass
    with pytest.raises(library.exceptions.BentoMLException, match="was built with another model `iris:v1`"):
        shop.export(home.root.parent / "x.tar")
