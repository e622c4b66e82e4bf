from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from tests.builder.handmade import unpinned, wheel
from tests.builder.source_packages import package

import bentoml
from bentoml.builder.bento import build
from bentoml.builder.build_file.config import load_config
from bentoml.builder.contents.manifest import bento_name
from bentoml.builder.contents.wheel import runtime_requirements
from bentoml.builder.job import BuildOptions
from bentoml.builder.packages.lock import LockRequest
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, ImportServiceError, InvalidArgument, NotFound
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.models import ModelStore

PROJECTS = Path(__file__).parents[1] / "projects"
CANARY = "a-secret-that-must-not-be-written"
PINS = f"numpy==2.4.6 \\\n    --hash=sha256:{'0' * 64}\n"


class FakeResolver:
    def __init__(self, pins: str = PINS) -> None:
        self.pins = pins
        self.asked: list[LockRequest] = []

    def resolve(self, request: LockRequest) -> str:
        self.asked.append(request)
        return self.pins


def project_in(folder: Path, name: str) -> Path:
    return Path(shutil.copytree(PROJECTS / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")))


def store_models(home: Home) -> None:
    for tag in ("iris", "fallback:v1"):
        with ModelStore(home).create(tag) as model:
            (Path(model.path) / "names.txt").write_text("setosa versicolor virginica")


def built(
    project: Path, home: Home, *, env: Mapping[str, str] = os.environ, options: BuildOptions | None = None
) -> Bento:
    config = load_config(project)
    return build(
        project,
        config,
        home=home,
        env=env,
        options=options or BuildOptions(),
        resolver=FakeResolver(),
        find_digest=unpinned,
    )


def content(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """Return each file with its bytes and whether it can be executed, but for the lines of the manifest that tell the time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.name == "bento.yaml":
                timely = (b"creation_time", b"checksum: ")
                data = b"\n".join(line for line in data.splitlines() if not any(t in line for t in timely))
            found[path.relative_to(folder).as_posix()] = (data, os.access(path, os.X_OK))
    return found


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bento, Home, FakeResolver, Path]:
    """A bento with everything: models, dependencies, a lock, envs, packages."""
    folder = tmp_path_factory.mktemp("flowers")
    home = Home(folder / "home")
    store_models(home)
    project = project_in(folder, "flowers")
    resolver = FakeResolver()
    env = {**os.environ, "INDEX_TOKEN": CANARY}
    bento = build(project, load_config(project), home=home, env=env, resolver=resolver, find_digest=unpinned)
    return bento, home, resolver, project


Flowers = tuple[Bento, Home, FakeResolver, Path]


def test_the_files_of_a_bento(flowers: Flowers) -> None:
    bento = flowers[0]
    files = sorted(content(Path(bento.path)))
    wheel = next(name for name in files if name.endswith(".whl"))
    assert files == sorted(
        [
            *("README.md", "apis/openapi.yaml", "apis/schema.json", "bento.yaml"),
            *("env/docker/Dockerfile", "env/docker/entrypoint.sh"),
            *("env/python/requirements.in", "env/python/requirements.txt", wheel),
            *("src/.bentoignore", "src/ABOUT.md", "src/app.py", "src/bentofile.yaml", "src/requirements.txt"),
        ]
    )
    assert wheel.startswith("env/python/wheels/bentoml-")
    assert zipfile.ZipFile(bento.path_of(wheel)).testzip() is None
    assert Path(bento.path_of("env/python/requirements.txt")).read_text() == PINS
    assert Path(bento.path_of("env/python/requirements.in")).read_text() == "numpy>=2\n"
    assert os.access(bento.path_of("env/docker/entrypoint.sh"), os.X_OK)
    assert bento.doc == "# Flowers\n\nWhich iris is it?\n"
    schema = json.loads(Path(bento.path_of("apis/schema.json")).read_text())
    assert schema == bento.info.schema
    assert yaml.safe_load(Path(bento.path_of("apis/openapi.yaml")).read_text())["paths"]["/classify"]


def test_the_manifest_of_a_bento(flowers: Flowers) -> None:
    bento, home, _, _ = flowers
    info, models = bento.info, ModelStore(home)
    assert (bento.tag.name, info.service, bento.entry_service) == ("flowers", "app:Classify", "Flowers")
    assert info.labels == {"owner": "team-flowers", "kind": "iris"}
    assert info.args == {"size": 3}
    assert [env["name"] for env in info.envs] == ["SIZE", "INDEX_TOKEN", "LOG_FORMAT"]
    assert [(ref.tag, ref.alias, ref.digest) for ref in info.models] == [
        (models.get("fallback").tag, "plan-b", models.get("fallback").digest)
    ]
    classify, preprocess = info.services
    iris = models.get("iris")
    assert [(m["tag"], m["digest"]) for m in classify["models"]] == [(str(iris.tag), str(iris.digest))]
    assert classify["dependencies"] == [{"service": "Preprocess"}]
    assert classify["config"] == {"traffic": {"timeout": 5}}
    assert preprocess["models"] == []
    assert info.image == {
        "base_image": "python:3.12-slim",
        "python_version": "3.12",
        "commands": [],
        "python_requirements": "numpy>=2\n",
        "post_commands": [],
        "build_include": [],
        "distro": "debian",
        "system_packages": ["libgomp1"],
        "env": {"OMP_NUM_THREADS": "1"},
        "platform": "linux/amd64",
        "index_url": "",
        "extra_index_url": ["https://packages.example/simple"],
        "find_links": [],
        "trusted_host": [],
        "no_index": False,
    }


def test_what_is_locked(flowers: Flowers) -> None:
    _, _, resolver, project = flowers
    (asked,) = resolver.asked
    assert asked.key == "x86_64-manylinux_2_36-python3.12"
    assert "numpy>=2" in asked.requirements
    assert any(line.startswith("pydantic") for line in asked.requirements)
    assert any(line.startswith("docker") for line in asked.requirements), "an extra that the project asks for"
    assert not any(line.lower().startswith("bentoml") for line in asked.requirements)
    assert asked.indexes.extra_index_url == ("https://packages.example/simple",)
    assert PINS in (project / "bentofile.lock").read_text()


def test_the_dockerfile_of_a_bento(flowers: Flowers) -> None:
    text = Path(flowers[0].path_of("env/docker/Dockerfile")).read_text()
    for line in ["FROM python:3.12-slim", 'ENV LOG_FORMAT="text"', 'ENV OMP_NUM_THREADS="1"', 'ENV SIZE="3"']:
        assert line in text.splitlines()
    assert "COPY models/" in text
    assert "--extra-index-url=https://packages.example/simple" in text
    assert "ENV INDEX_TOKEN" not in text


def test_no_secret_and_no_path_of_this_machine_is_written(flowers: Flowers) -> None:
    bento, home, _, project = flowers
    files = {
        **content(Path(bento.path)),
        "bentofile.lock": ((project / "bentofile.lock").read_bytes(), False),
    }
    for name, (data, _) in files.items():
        for word in (CANARY, str(home.root), str(project)):
            assert word.encode() not in data, f"{word} in {name}"


def test_the_same_content_gives_the_same_tag_and_bytes(flowers: Flowers, tmp_path: Path) -> None:
    """Another folder, store, umask, time zone, hash seed, time and order of files."""
    bento, _, _, project = flowers
    home = Home(tmp_path / "elsewhere" / "home")
    store_models(home)
    copy = project_in(tmp_path / "elsewhere", "flowers")
    shutil.copy(project / "bentofile.lock", copy)
    for file in copy.iterdir():
        os.utime(file, (1, 1))
    env = {**os.environ, "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "1", "LANG": "C"}
    before = os.umask(0o077)
    try:
        again = build(
            copy,
            load_config(copy),
            home=home,
            env=env,
            resolver=FakeResolver("never==1\n"),
            find_digest=unpinned,
        )
    finally:
        os.umask(before)
    assert again.tag == bento.tag
    assert content(Path(again.path)) == content(Path(bento.path))


def test_a_plain_project_and_options_that_go_before_it(tmp_path: Path) -> None:
    project, home = project_in(tmp_path, "minimal"), Home(tmp_path / "home")
    options = BuildOptions(version="v1", labels={"a": "b"}, platform="linux/arm64")
    bento = built(project, home, options=options)
    assert str(bento.tag) == "greeting_card_service:v1"
    assert bento.info.labels == {"a": "b"}
    assert bento.info.image["platform"] == "linux/arm64"
    lines = Path(bento.path_of("env/python/requirements.txt")).read_text().splitlines()
    assert any(line.startswith("pydantic>=") for line in lines), (
        "requirements that are not locked are as they are written"
    )
    assert not (project / "bentofile.lock").exists()
    assert "--require-hashes" not in Path(bento.path_of("env/docker/Dockerfile")).read_text()
    assert bento.doc.startswith("# greeting_card_service\n\nWrite greetings.\n")
    assert "POST /greet" in bento.doc
    (project / "README.md").write_text("# Mine\n")
    with pytest.raises(BentoMLException, match="exists with other content"):
        built(project, home, options=options)


def test_the_src_layout(tmp_path: Path) -> None:
    project, home = (
        project_in(tmp_path, "src_layout"),
        Home(project_home := tmp_path / "src_layout" / ".bentoml"),
    )
    (project / "README.md").write_text("# Mine\n")
    bento = built(project, home)
    assert bento.tag.name == "web-shop"
    assert bento.doc == "# Mine\n"
    assert bento.info.service == "shop.service:Shop"
    files = content(Path(bento.path))
    assert {"src/shop/service.py", "src/shop/prices.py", "src/pyproject.toml"} <= set(files)
    assert "anyio>=4" in bento.info.image["python_requirements"]
    assert project_home.is_dir()
    assert not [name for name in files if ".bentoml" in name], "a store in the project is no part of it"


def test_a_missing_model_says_what_to_do_and_leaves_nothing(tmp_path: Path) -> None:
    project, home = project_in(tmp_path, "minimal"), Home(tmp_path / "home")
    (project / "bentofile.yaml").write_text("models: ['nowhere:v1']\n")
    with pytest.raises(NotFound, match=r"nowhere:v1.*bentoml models"):
        built(project, home)
    assert sorted(p.name for p in project.iterdir() if p.name != "__pycache__") == [
        "bentofile.yaml",
        "service.py",
    ]
    assert BentoStore(home).list() == []


def test_the_service_may_be_a_package(tmp_path: Path) -> None:
    project = project_in(tmp_path, "minimal")
    (project / "service").mkdir()
    (project / "service.py").rename(project / "service" / "__init__.py")
    (project / "bentofile.yaml").write_text("python: {lock_packages: false}\n")
    assert built(project, Home(tmp_path / "home")).info.service == "service:GreetingCardService"


def test_a_missing_service_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ImportServiceError, match=r"has no `service\.py`.*write `service:"):
        built(tmp_path, Home(tmp_path / "home"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "lines",
    ["exclude: ['/service.py']", "include: ['*.md']", "service: 'pkg.svc'\nexclude: ['pkg/']"],
    ids=["excluded", "not included", "in a package"],
)
def test_a_bento_without_its_service_is_not_built(tmp_path: Path, lines: str) -> None:
    project, home = project_in(tmp_path, "minimal"), Home(tmp_path / "home")
    (project / "pkg").mkdir()
    shutil.copy(project / "service.py", project / "pkg" / "svc.py")
    (project / "bentofile.yaml").write_text(f"{lines}\npython: {{lock_packages: false}}\n")
    with pytest.raises(
        InvalidArgument, match=r"`(service|pkg/svc)\.py`, which holds the service, would not be part"
    ):
        built(project, home)
    assert not home.root.exists()


def test_a_service_from_an_installed_package_is_built(tmp_path: Path) -> None:
    elsewhere, project = project_in(tmp_path / "site", "minimal"), tmp_path / "project"
    project.mkdir()
    (elsewhere / "service.py").rename(elsewhere / "installed_service.py")
    (project / "bentofile.yaml").write_text("service: installed_service\npython: {lock_packages: false}\n")
    env = {**os.environ, "PYTHONPATH": str(elsewhere)}
    assert (
        built(project, Home(tmp_path / "home"), env=env).info.service
        == "installed_service:GreetingCardService"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "place", [".", "st", "s [1] #!"], ids=["the project itself", "a folder in it", "odd name"]
)
def test_a_store_in_the_project_is_no_part_of_it(tmp_path: Path, place: str) -> None:
    project = project_in(tmp_path, "minimal")
    home = Home(project / place)
    first = built(project, home)
    assert built(project, home) == first
    assert sorted(p.name for p in Path(first.path_of("src")).rglob("*")) == ["bentofile.yaml", "service.py"]


@pytest.mark.parametrize(
    ("pins", "base"),
    [
        (PINS, "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04"),
        (f"{PINS}nvidia-cuda-runtime-cu12==12.8.90 \\\n    --hash=sha256:{'1' * 64}\n", "python:3.12-slim"),
    ],
    ids=["the base brings CUDA", "the packages do"],
)
def test_cuda_is_brought_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, pins: str, base: str) -> None:
    project = project_in(tmp_path, "minimal")
    (project / "bentofile.yaml").write_text("docker: {cuda_version: 12, python_version: '3.12'}\n")
    home = Home(tmp_path / "home")
    made = build(
        project, load_config(project), home=home, env=os.environ, resolver=FakeResolver(pins), find_digest=unpinned
    )  # fmt: skip
    is_plain = base.startswith("python:")
    assert made.info.image["base_image"] == base
    assert ("cuda_version" in made.info.image) is not is_plain
    dockerfile = Path(made.path_of("env/docker/Dockerfile")).read_text()
    assert f"FROM {base}" in dockerfile
    said = [r.getMessage() for r in caplog.records if "cuda_version" in r.getMessage()]
    assert bool(said) is is_plain
    assert not said or "`nvidia-cuda-runtime-cu12==12.8.90`" in said[0]


def test_a_resolver_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Failing:
        def resolve(self, request: LockRequest) -> str:
            raise BentoMLException("no solution")

    project, home = project_in(tmp_path, "minimal"), Home(tmp_path / "home")
    (project / "bentofile.yaml").unlink()
    with pytest.raises(BentoMLException, match="no solution"):
        build(
            project, load_config(project), home=home, env=os.environ, resolver=Failing(), find_digest=unpinned
        )
    assert sorted(p.name for p in project.iterdir() if p.name != "__pycache__") == ["service.py"]
    assert not home.root.exists()


@pytest.mark.parametrize(
    ("service", "bento"),
    [
        ("Summarization", "summarization"),
        ("GreetingCardService", "greeting_card_service"),
        ("MySvcABC", "my_svcabc"),
        ("iris_classifier", "iris_classifier"),
        ("iris-v2", "iris-v2"),
    ],
)
def test_names(service: str, bento: str) -> None:
    assert bento_name(service) == bento


def test_a_name_that_is_no_tag() -> None:
    with pytest.raises(InvalidArgument, match="set `name`"):
        bento_name("Größe")


def wheels_of_the_runtime(folder: Path) -> None:
    """Make an empty wheel for each package that a bento needs, so that a lock can be made without an index."""
    for line in runtime_requirements():
        wheel(folder, Requirement(line).name.replace("-", "_"), "9999.0")


@pytest.mark.slow
@pytest.mark.parametrize("locks", [False, True], ids=["no lock", "the lock is made each time"])
def test_a_build_that_is_killed_leaves_nothing_half(tmp_path: Path, locks: bool) -> None:
    """Kill at 50 points, spread over the time that a build takes: the store lists clean and the next build works."""
    project, home = project_in(tmp_path, "minimal"), Home(tmp_path / "home")
    if locks:
        wheels_of_the_runtime(project / "wheels")
        (project / "bentofile.yaml").write_text("python: {no_index: true, find_links: wheels}\n")
    # A copy of this package, as an edit of it while the test runs would change the tag: the package is in the bento.
    shutil.copytree(Path(bentoml.__file__).parent, tmp_path / "package" / "bentoml")
    env = {**os.environ, "BENTOML_HOME": str(home.root), "PYTHONPATH": str(tmp_path / "package")}
    command = [sys.executable, "-m", "bentoml", "build", str(project), "-o", "tag"]
    lock = project / "bentofile.lock"
    start = time.monotonic()
    expected = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    duration = time.monotonic() - start
    locked = lock.read_text() if locks else ""
    for point in range(50):
        lock.unlink(missing_ok=True)
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            process.communicate(timeout=duration * point / 50)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for bento in BentoStore(home).list():
            assert f"__tag__:{bento.tag}\n" == expected
        assert not lock.exists() or lock.read_text() == locked
        shutil.rmtree(home.bentos, ignore_errors=True)
    assert subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout == expected
    known = ("service.py", "bentofile.yaml", "bentofile.lock", "wheels", "__pycache__")
    assert [p for p in project.iterdir() if p.name not in known] == []
    assert not list(home.staging.glob("*/*")), "what was abandoned is swept"


def test_a_module_that_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    project = project_in(tmp_path, "minimal")
    (project / "helper.py").write_text("")
    service = project / "service.py"
    service.write_text(service.read_text() + "\nimport helper\n")
    (project / "bentofile.yaml").write_text("exclude: [helper.py]\npython: {lock_packages: false}\n")
    built(project, Home(tmp_path / "home"))
    assert "`helper.py`, which the service imports, would not be part of the bento" in caplog.text
    assert "service.py" not in caplog.text


def test_a_module_that_is_packed_is_not_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    project = project_in(tmp_path, "minimal")
    package(project / "libs", "colors")
    service = project / "service.py"
    service.write_text(
        f"import sys\nsys.path.insert(0, {str(project / 'libs')!r})\nimport colors\n" + service.read_text()
    )
    (project / "bentofile.yaml").write_text(
        "exclude: [libs/]\npython: {lock_packages: false, packages: [./libs]}\n"
    )
    built(project, Home(tmp_path / "home"))
    assert "which the service imports" not in caplog.text
