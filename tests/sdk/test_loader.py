"""Where services are found and how they are loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import bentoml
from bentoml.config import Home
from bentoml.exceptions import ImportServiceError, NotFound
from bentoml.sdk.loader import Target, build_patterns, find, load, load_target
from bentoml.store import current
from bentoml.store.bentos import BentoStore
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import Model, ModelStore
from bentoml.tag import Tag

SERVICE = """
    import bentoml
    from helper import WORD

    @bentoml.service
    class Inner:
        @bentoml.api
        def word(self) -> str:
            return WORD

    @bentoml.service(name="main")
    class Outer:
        inner = bentoml.depends(Inner)
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    current.use(Home.from_environment({}))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def write(folder: Path, **files: str) -> Path:
    """Write files; ``service_py`` becomes ``service.py`` and ``pkg__mod_py`` becomes ``pkg/mod.py``."""
    for name, text in files.items():
        stem, _, suffix = name.replace("__", "/").rpartition("_")
        file = folder / f"{stem}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path / "project", service_py=SERVICE, helper_py="WORD = 'first'\n")


@pytest.mark.parametrize(
    ("target", "import_string"),
    [
        pytest.param("service:Outer", "service:Outer", id="module and class"),
        pytest.param("service.py:Outer", "service:Outer", id="file and class"),
        pytest.param("service", "service", id="module"),
        pytest.param("service:Outer.inner", "service:Outer.inner", id="dependency"),
        pytest.param(".", "service", id="this folder"),
        pytest.param("../project", "service", id="relative folder"),
    ],
)
def test_find_in_a_project(project: Path, home: Home, target: str, import_string: str) -> None:
    assert find(target, home=home, working_dir=project) == Target(import_string, project, None)


@pytest.mark.parametrize("target", ["./elsewhere", "sub/service.py:Outer", "/no/such/folder"])
def test_a_path_that_leads_nowhere(project: Path, home: Home, target: str) -> None:
    with pytest.raises(ImportServiceError) as caught:
        find(target, home=home, working_dir=project)
    missing = project / target.partition(":")[0]
    assert str(caught.value) == (
        f"Failed to load bento or import service `{target}`: there is no folder or file `{missing}`"
    )


def test_a_working_folder_that_is_not_there(project: Path, home: Home) -> None:
    with pytest.raises(ImportServiceError, match=r"`unheard_of`: there is no folder or file `.*/elsewhere`"):
        find("unheard_of", home=home, working_dir=project / "elsewhere")


@pytest.mark.parametrize("target", ["sub", "./sub", "sub/"])
def test_a_relative_folder(project: Path, home: Home, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "sub").mkdir()
    (project / "service.py").rename(project / "sub" / "service.py")
    monkeypatch.chdir(project)
    assert find(target, home=home) == Target("service", project / "sub")


def test_a_package_and_a_file_in_a_folder(project: Path, home: Home) -> None:
    write(project, pkg____init___py="", pkg__mod_py="class Svc: ...\n")
    assert find("pkg.mod:Svc", home=home, working_dir=project) == Target("pkg.mod:Svc", project)
    assert find("pkg/mod.py:Svc", home=home, working_dir=project) == Target("pkg.mod:Svc", project)
    absolute = find(f"{project}/pkg/mod.py:Svc", home=home, working_dir=home.root)
    assert absolute == Target("mod:Svc", project / "pkg")


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"bentofile_yaml": "service: 'app:Svc'\n"}, id="bentofile"),
        pytest.param({"pyproject_toml": "[tool.bentoml.build]\nservice = 'app.py:Svc'\n"}, id="pyproject"),
    ],
)
def test_the_build_file_names_the_service(tmp_path: Path, home: Home, files: dict[str, str]) -> None:
    assert find(str(write(tmp_path / "p", **files)), home=home) == Target("app:Svc", tmp_path / "p")


def test_a_build_file_without_a_service(project: Path, home: Home) -> None:
    write(project, bentofile_yaml="labels: {a: b}\n", pyproject_toml="[project]\nname = 'x'\n")
    assert find(str(project), home=home).import_string == "service"


def test_a_folder_that_is_no_project(tmp_path: Path, home: Home) -> None:
    with pytest.raises(ImportServiceError, match="neither a bento nor a project"):
        find(str(tmp_path), home=home)


def test_a_build_file_that_points_elsewhere(project: Path, home: Home) -> None:
    write(project, bentofile_yaml="service: '../other/app.py:Svc'\n")
    with pytest.raises(ImportServiceError, match="lies outside"):
        find(str(project), home=home)


def test_a_build_file_that_is_odd(project: Path, home: Home) -> None:
    assert find(str(write(project, pyproject_toml="tool = 3\n")), home=home).import_string == "service"
    with pytest.raises(ImportServiceError, match="is not TOML"):
        find(str(write(project, pyproject_toml="tool =\n")), home=home)


def test_nothing_fits(tmp_path: Path, home: Home) -> None:
    with pytest.raises(ImportServiceError) as caught:
        find("nowhere:latest", home=home, working_dir=tmp_path)
    message = str(caught.value)
    assert message.startswith("Failed to load bento or import service `nowhere:latest`.")
    assert "If you are attempting to import bento by tag: " in message
    assert f"there is no module `nowhere` in `{tmp_path}`" in message


def test_a_name_in_capitals_is_no_tag(tmp_path: Path, home: Home, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ImportServiceError, match="tags are in lower case"):
        find("Nowhere:Svc", home=home, working_dir=tmp_path)
    assert not caplog.records


def test_load(project: Path, home: Home) -> None:
    service = load_target(Target("service:Outer", project), home=home)
    assert (service.name, service.import_string, service.working_dir) == (
        "main",
        "service:Outer",
        str(project),
    )
    assert service().inner.word() == "first"


@pytest.mark.parametrize(
    ("import_string", "name"),
    [
        pytest.param("service", "main", id="the only one that no other one uses"),
        pytest.param("service:Outer.inner", "Inner", id="dependency by attribute"),
        pytest.param("service:Outer.Inner", "Inner", id="dependency by name"),
    ],
)
def test_attributes(project: Path, home: Home, import_string: str, name: str) -> None:
    assert load_target(Target(import_string, project), home=home).name == name


@pytest.mark.parametrize(
    ("import_string", "message"),
    [
        pytest.param("missing:Svc", "there is no module `missing`", id="module"),
        pytest.param("missing.deep:Svc", "there is no module `missing.deep`", id="package"),
        pytest.param("service:Ekho", "`service` has no `Ekho`; its services are `Inner`, `Outer`", id="attribute"),
        pytest.param("service:WORD", "is not a service but `str`", id="no service"),
        pytest.param("service:Outer.other", "has no `Outer.other`", id="no dependency"),
        pytest.param("helper", "has no service; decorate a class", id="none"),
    ],
)  # fmt: skip
def test_what_is_not_there(project: Path, home: Home, import_string: str, message: str) -> None:
    with pytest.raises(ImportServiceError) as caught:
        load_target(Target(import_string, project), home=home)
    assert message in caught.value.message


def test_several_services(tmp_path: Path, home: Home) -> None:
    text = "import bentoml\n\n@bentoml.service\nclass A: ...\n\n@bentoml.service\nclass B: ...\n"
    with pytest.raises(
        ImportServiceError, match="Multiple service instances found in `app`: say which of `app:A`"
    ):
        load_target(Target("app", write(tmp_path / "p", app_py=text)), home=home)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("raise RuntimeError('the reason')", RuntimeError, id="an exception"),
        pytest.param("import does_not_exist_anywhere", ModuleNotFoundError, id="an import of its own"),
        pytest.param("def (", SyntaxError, id="syntax"),
    ],
)
def test_the_users_own_error_comes_through(
    tmp_path: Path, home: Home, text: str, error: type[Exception]
) -> None:
    folder = write(tmp_path / "p", app_py=text)
    with pytest.raises(error) as caught:
        load_target(Target("app:Svc", folder), home=home)
    assert "app.py" in str(caught.traceback[-1].path) or error is SyntaxError


def test_two_projects_with_modules_of_one_name(project: Path, tmp_path: Path, home: Home) -> None:
    other = write(tmp_path / "other", service_py=SERVICE, helper_py="WORD = 'second'\n")
    words = [
        load_target(Target("service:Outer", folder), home=home)().inner.word()
        for folder in (project, other, project)
    ]
    assert words == ["first", "second", "first"]
    assert str(other) not in sys.path


def bento_of(home: Home, folder: str, *, models: tuple[ModelRef, ...] = ()) -> Tag:
    with BentoStore(home).create("iris") as draft:
        write(draft.path / "src", service_py=folder, helper_py="WORD = 'in a bento'\n")
        draft.info = BentoInfo(tag=Tag("iris", "x"), service="service:Outer", models=models)
    return draft.saved.tag


def test_a_bento_by_tag_and_by_folder(home: Home, tmp_path: Path) -> None:
    tag = bento_of(home, SERVICE)
    folder = home.bentos / tag.path()
    expected = Target("service:Outer", folder / "src", str(tag))
    for target in ("iris:latest", "iris", str(tag), str(folder)):
        assert find(target, home=home, working_dir=tmp_path) == expected
    service = load_target(expected, home=home)
    assert service.bento is not None
    assert service.bento.tag == tag
    assert service().inner.word() == "in a bento"


def test_a_module_beside_a_bento_of_its_name(home: Home, tmp_path: Path) -> None:
    tag = bento_of(home, SERVICE)
    write(tmp_path / "p", iris_py="svc = 1\n")
    assert find("iris:latest", home=home, working_dir=tmp_path / "p").bento_tag == str(tag)
    assert find("iris:svc", home=home, working_dir=tmp_path / "p").bento_tag is None


def test_a_bento_that_is_gone(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"has no `bento.yaml`"):
        load_target(Target("service", tmp_path / "src", "iris:x"), home=home)


def save(home: Home, content: str) -> Model:
    with ModelStore(home).create("weights") as model:
        Path(model.path, "w").write_text(content)
    return ModelStore(home).get(model.tag)


USES_MODELS = """
    from pathlib import Path
    import bentoml

    @bentoml.service
    class Outer:
        named = bentoml.models.get("weights:latest")

        @bentoml.api
        def read(self) -> list[str]:
            models = [self.named, bentoml.models.get("weights"), bentoml.models.get("the-alias")]
            return [Path(m.path_of("w")).read_text() for m in models]
"""


def test_a_bento_sees_the_models_it_was_built_with(home: Home) -> None:
    old = save(home, "old")
    tag = bento_of(home, USES_MODELS, models=(ModelRef(tag=old.tag, alias="the-alias"),))
    save(home, "new")
    service = load_target(find(str(tag), home=home), home=home)
    assert service().read() == ["old", "old", "old"]
    current.use(home)
    with pytest.raises(NotFound):
        bentoml.models.get("the-alias")


def test_a_bento_that_brings_its_models(home: Home, tmp_path: Path) -> None:
    old = save(home, "old")
    tag = bento_of(home, USES_MODELS, models=(ModelRef(tag=old.tag, alias="the-alias"),))
    (home.bentos / tag.path()).chmod(0o755)
    home.models.rename(home.bentos / tag.path() / "models")
    assert load_target(find(str(tag), home=home), home=Home(tmp_path / "empty"))().read() == ["old"] * 3


def test_load_as_a_user_calls_it(project: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(home.root))
    tag = bento_of(home, SERVICE)
    bento = BentoStore(home).get(tag)
    for identifier in (tag, str(tag), bento, Path(bento.path)):
        service: Any = bentoml.load(identifier)
        assert service.bento is not None
        assert service.bento.tag == tag
    before = list(sys.path)
    assert load("service:Outer", working_dir=project, standalone_load=True).name == "main"
    assert sys.path == [p for p in before if p != str(Path(bento.path) / "src")] or sys.path == before


def test_reload(project: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(home.root))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert load("service:Outer", working_dir=project)().inner.word() == "first"
    write(project, helper_py="WORD = 'changed'\n")
    assert load("service:Outer", working_dir=project)().inner.word() == "first"
    assert load("service:Outer", working_dir=project, reload=True)().inner.word() == "changed"


@pytest.mark.parametrize(
    ("files", "patterns"),
    [
        pytest.param({}, ([], []), id="no build file"),
        pytest.param({"bentofile.yaml": "include: ['*.py']\nexclude: [a]"}, (["*.py"], ["a"]), id="yaml"),
        pytest.param({"pyproject.toml": "[tool.bentoml.build]\nexclude = ['b']"}, ([], ["b"]), id="toml"),
        pytest.param({"bentofile.yaml": "a: ["}, ([], []), id="broken"),
    ],
)
def test_build_patterns(tmp_path: Path, files: dict[str, str], patterns: tuple[list[str], list[str]]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert build_patterns(tmp_path) == patterns
