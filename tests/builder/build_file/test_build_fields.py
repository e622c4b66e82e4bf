"""Every field of a build file, in a bento: where it is found there, that it is the same everywhere, that no secret is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml
from tests.builder.handmade import unpinned, wheel
from tests.builder.source_packages import package, repository
from tests.builder.test_bento import FakeResolver, content, project_in

from bentoml.builder.bento import build
from bentoml.builder.build_file.config import load_config
from bentoml.builder.image.plan import plan_image
from bentoml.builder.job import BuildOptions
from bentoml.builder.packages.lock import LockRequest, read_lock_file
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, InvalidArgument
from bentoml.store.bentos import Bento
from bentoml.store.models import ModelStore

CANARY = "canary-4711"
BENTOFILE = """
models:
  - {{tag: words, filter: "label:stage=prod", alias: best}}
envs:
  - {{name: TOKEN, stage: build}}
  - {{name: MODE, value: fast, stage: runtime}}
python:
  packages: ["numpy>=2", "demo[x] @ git+file://{origin}@main", "./libs/local"]
  wheels: ["wheels/given-1.0-py3-none-any.whl"]
  pip_args: "--pre --no-cache-dir"
docker:
  python_version: "3.12"
  cuda_version: 12
  system_packages: [libgomp1]
  setup_script: ./setup.sh
  dockerfile_template: Dockerfile.j2
  env: docker.env
  compile: true
conda:
  environment_yml: environment.yml
"""


class Everything(FakeResolver):
    """Resolve to numpy and the project's own wheels."""

    def resolve(self, request: LockRequest) -> str:
        own = sorted(f"{wheel.name}=={wheel.version}\n" for wheel in request.wheels)
        return "".join([*own, super().resolve(request)])


def project_with_everything(folder: Path, origin: Path) -> Path:
    project = project_in(folder, "minimal")
    (project / "bentofile.yaml").write_text(BENTOFILE.format(origin=origin))
    package(project / "libs" / "local", "local")
    wheel(project / "wheels", "given")
    (project / "setup.sh").write_text("#!/bin/sh\necho set up\n")
    (project / "Dockerfile.j2").write_text("{% extends bento_base_template %}\n")
    (project / "docker.env").write_text("export A='b c'\n")
    (project / "environment.yml").write_text(
        "name: mine\nprefix: /home/me/conda\nchannels: [defaults]\ndependencies: [libgdal=3, {pip: [rich]}]\n"
    )
    return project


def store_words(home: Home) -> None:
    for version, stage in (("v1", "prod"), ("v2", "test")):
        with ModelStore(home).create(f"words:{version}", labels={"stage": stage}) as model:
            Path(model.path, "words.txt").write_text("hello")


def built(project: Path, home: Home, env: dict[str, str], resolver: FakeResolver | None = None) -> Bento:
    return build(
        project,
        load_config(project),
        home=home,
        env=env,
        resolver=resolver or Everything(),
        find_digest=unpinned,
    )


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bento, Path, Everything, str]:
    folder = tmp_path_factory.mktemp("everything")
    package(folder / "origin", requires="anyio")
    commit = repository(folder / "origin")
    home, resolver = Home(folder / "home"), Everything()
    store_words(home)
    project = project_with_everything(folder, folder / "origin")
    env = {**os.environ, "TOKEN": CANARY, "PIP_INDEX_URL": f"https://user:{CANARY}@packages.example/simple"}
    return built(project, home, env, resolver), project, resolver, commit


Made = tuple[Bento, Path, Everything, str]


def test_where_each_field_is(everything: Made) -> None:
    bento, _, _, commit = everything
    image = bento.info.image
    assert image["base_image"] == "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04"
    assert image["cuda_version"] == "12.8.1"
    assert image["env"] == {"A": "b c"}
    assert image["compile"] is True
    assert image["pip_args"] == "--pre --no-cache-dir"
    assert image["wheels"] == ["given-1.0-py3-none-any.whl"]
    assert image["setup_script"] == "env/docker/setup_script"
    assert image["conda"] == {"channels": ["defaults"], "dependencies": ["libgdal=3", {"pip": ["rich"]}]}
    lines = image["python_requirements"].splitlines()
    assert lines[0] == "numpy>=2"
    assert lines[1].startswith("demo[x] @ git+file://")
    assert lines[1].endswith(f"/origin@{commit}")
    assert lines[2] == "./libs/local"
    assert Path(bento.path_of("env/docker/setup_script")).read_text() == "#!/bin/sh\necho set up\n"
    assert os.access(bento.path_of("env/docker/setup_script"), os.X_OK)
    assert Path(bento.path_of("env/docker/Dockerfile.template")).is_file()
    assert yaml.safe_load(Path(bento.path_of("env/conda/environment.yml")).read_text()) == image["conda"]
    wheels = sorted(
        path.name.partition("-")[0] for path in Path(bento.path_of("env/python/wheels")).iterdir()
    )
    assert wheels == ["bentoml", "demo", "given", "local"]
    pins = Path(bento.path_of("env/python/requirements.txt")).read_text()
    assert pins.startswith("numpy==2.4.6"), "the wheels of the bento are no pins"
    assert [(str(ref.tag), ref.alias) for ref in bento.info.models] == [("words:v1", "best")]


def test_what_is_resolved(everything: Made) -> None:
    (asked,) = everything[2].asked
    assert asked.key == "x86_64-manylinux_2_39-python3.12"
    assert asked.prereleases
    assert [wheel.name for wheel in asked.wheels] == ["given", "demo", "local"]
    assert not any("local" in line or "git+" in line for line in asked.requirements)


def test_the_dockerfile(everything: Made) -> None:
    lines = Path(everything[0].path_of("env/docker/Dockerfile")).read_text().replace("\\\n", "").splitlines()
    order = [
        next(n for n, line in enumerate(lines) if part in line)
        for part in (
            *("FROM scratch AS models", "FROM nvidia/cuda:12.8.1", "libgomp1", 'ENV A="b c"'),
            *(
                "COPY --from=models /words/v1/",
                "./env/docker/setup_script",
                "micromamba create",
                "-m venv",
                "src/ ./src/",
            ),
        )
    ]
    assert order == sorted(order)
    text = "\n".join(lines)
    assert 'ENV MODE="fast"' in text
    assert "ENV TOKEN" not in text
    assert text.count("--mount=type=secret,id=TOKEN ") == 4, "packages, script, conda, pip"
    assert "install --no-deps --require-hashes --pre --no-cache-dir" in text


def test_containerize_says_the_command_that_an_engine_understands(everything: Made) -> None:
    info = everything[0].info
    with pytest.raises(BentoMLException) as caught:
        plan_image(info, env={})
    said = str(caught.value)
    for key in ("conda", "dockerfile_template"):
        assert f"`{key}`" in said
    folder = f'"$(bentoml get {info.tag} -o path)"'
    assert f"`docker build -t {info.tag} -f {folder}/env/docker/Dockerfile --build-context models=" in said
    assert f"--secret id=TOKEN,env=TOKEN {folder}`" in said
    assert CANARY not in said


def test_no_secret_and_no_path_of_this_machine_is_anywhere(everything: Made) -> None:
    bento, project, _, _ = everything
    lock = (project / "bentofile.lock").read_bytes()
    origin = project.parent / "origin"
    for name, (data, _) in {**content(Path(bento.path)), "lock": (lock, False)}.items():
        assert CANARY.encode() not in data, name
        assert b"/home/me" not in data or name == "src/environment.yml", name
        # the repository is named by its address, which the user wrote
        assert str(project.parent).encode() not in data.replace(str(origin).encode(), b""), name


def test_the_same_project_is_the_same_bento_with_other_caches(everything: Made, tmp_path: Path) -> None:
    bento, project, _, commit = everything
    home = Home(tmp_path / "home")
    store_words(home)
    copy = project_with_everything(tmp_path, project.parent / "origin")
    shutil.copy(project / "bentofile.lock", copy)
    before = os.umask(0o077)
    try:
        again = built(
            copy, home, {**os.environ, "TZ": "Asia/Tokyo", "HOME": str(tmp_path), "PYTHONHASHSEED": "3"}
        )
    finally:
        os.umask(before)
    assert again.tag == bento.tag
    assert content(Path(again.path)) == content(Path(bento.path))
    assert (copy / "bentofile.lock").read_bytes() == (project / "bentofile.lock").read_bytes()
    assert list(read_lock_file(copy / "bentofile.lock").commits.values()) == [commit]


def test_git_left_to_the_engine(tmp_path: Path) -> None:
    project = project_in(tmp_path, "minimal")
    (project / "bentofile.yaml").write_text(
        "python: {packages: ['demo @ git+https://h.invalid/r@main'], pack_git_packages: false}\n"
    )
    bento = built(project, Home(tmp_path / "home"), dict(os.environ))
    pins = Path(bento.path_of("env/python/requirements.txt")).read_text()
    assert "demo @ git+https://h.invalid/r@main\n" in pins
    assert "--hash" not in pins
    assert "--no-install-recommends git" in Path(bento.path_of("env/docker/Dockerfile")).read_text()
    assert plan_image(bento.info, env={}).system_packages == ("git",)


def test_a_wheel_that_is_not_part_of_the_bento_fails_at_the_build(tmp_path: Path) -> None:
    project = project_in(tmp_path, "minimal")
    made = wheel(project / "wheels", "needed")
    (project / "bentofile.yaml").write_text(
        f"python: {{packages: [needed], find_links: wheels, lock_packages: false}}\nexclude: ['{made.name}']\n"
    )
    with pytest.raises(InvalidArgument, match=r"`wheels/needed-1\.0.*would not be part of the bento"):
        built(project, Home(tmp_path / "home"), dict(os.environ))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("docker: {setup_script: none.sh}", "none.sh"),
        ("docker: {setup_script: ../x.sh}", "docker.setup_script"),
        ("docker: {dockerfile_template: /etc/passwd}", "docker.dockerfile_template"),
        ("python: {wheels: [../x-1-py3-none-any.whl]}", "python.wheels"),
        ("python: {wheels: [x-1-py3-none-any.whl]}", "is not there"),
        ("python: {requirements_txt: /etc/passwd}", "python.requirements_txt"),
        ("python: {lock_file: ../uv.lock}", "leaves its folder"),
        ("python: {lock_file: requirements.lock}", "python.lock_file"),
        ('python: {pip_args: "--pre\\n--index-url x"}', "python.pip_args"),
        ("python: {pip_args: '-i https://user:canary@h/simple'}", "python.pip_args.index_url"),
        ("python: {resolver: poetry}", "it is one of `uv`, `pip-tools`"),
        ("conda: {environment_yml: ../e.yml}", "conda.environment_yml"),
        ('conda: {dependencies: ["a\\nRUN x"]}', "conda.dependencies"),
        ("conda: {dependencies: [{conda: [x]}]}", "is not a known key"),
        ("conda: {channels: ['https://u:canary@h/c']}", "conda.channels"),
        ("conda: {dependencies: [{pip: [a]}], pip: [b]}", "put all of it into one of them"),
        ("conda: {pip: ['-r x.txt']}", "conda.pip"),
        ("conda: {dependencies: [x]}\ndocker: {distro: alpine}", "needs glibc"),
        ("docker: {env: ../secret.env}", "docker.env"),
    ],
)
def test_hostile_and_mistaken_fields_are_refused_and_leave_nothing(
    tmp_path: Path, lines: str, said: str
) -> None:
    project, home = project_in(tmp_path, "minimal"), Home(tmp_path / "home")
    (project / "bentofile.yaml").write_text(lines + "\n")
    with pytest.raises(BentoMLException) as caught:
        built(project, home, dict(os.environ))
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)
    assert not home.bentos.exists()
    assert not (project / "bentofile.lock").exists()


def test_a_project_under_a_hidden_folder_builds(tmp_path: Path) -> None:
    project = project_in(tmp_path / ".work" / ".hidden", "minimal")
    (project / ".setup").mkdir()
    (project / ".setup" / "run.sh").write_text("#!/bin/sh\n")
    (project / "bentofile.yaml").write_text("docker: {setup_script: .setup/run.sh}\n")
    assert built(project, Home(tmp_path / "home"), dict(os.environ)).info.image["setup_script"]


def test_a_build_file_that_is_a_link_out_of_the_project_is_no_part_of_it(tmp_path: Path) -> None:
    project, home = project_in(tmp_path, "minimal"), Home(tmp_path / "home")
    (tmp_path / "outside.yaml").write_text("labels: {a: b}\n")
    (project / "bentofile.yaml").unlink()
    (project / "bentofile.yaml").symlink_to("../outside.yaml")
    with pytest.raises(InvalidArgument, match=r"the link `bentofile\.yaml` leads to"):
        built(project, home, dict(os.environ))
    assert not home.bentos.exists()


def test_update_moves_the_commit_and_locked_keeps_it(tmp_path: Path) -> None:
    package(tmp_path / "origin")
    first = repository(tmp_path / "origin")
    project, home = project_in(tmp_path, "minimal"), Home(tmp_path / "home")
    (project / "bentofile.yaml").write_text(f"python: {{packages: ['git+file://{tmp_path}/origin@main']}}\n")
    env = dict(os.environ)
    bento = built(project, home, env)
    package(tmp_path / "origin", value=2)
    second = repository(tmp_path / "origin")
    assert built(project, home, env) == bento
    config = load_config(project)
    locked, update = BuildOptions(lock_mode="locked", offline=True), BuildOptions(lock_mode="update")
    assert build(project, config, home=home, env=env, options=locked, resolver=Everything()) == bento
    moved = build(
        project, config, home=home, env=env, options=update, resolver=Everything(), find_digest=unpinned
    )
    assert first in bento.info.image["python_requirements"]
    assert second in moved.info.image["python_requirements"]
    assert list(read_lock_file(project / "bentofile.lock").commits.values()) == [second]


def test_without_a_lock_the_extras_of_own_packages_are_asked_for(tmp_path: Path) -> None:
    project = project_in(tmp_path, "minimal")
    package(project / "libs" / "demo")
    (project / "bentofile.yaml").write_text(
        "python: {packages: ['demo[fast] @ ./libs/demo'], lock_packages: false}\n"
    )
    bento = built(project, Home(tmp_path / "home"), dict(os.environ))
    assert "demo[fast]\n" in Path(bento.path_of("env/python/requirements.txt")).read_text()
    assert "env/python/wheels/*.whl" in Path(bento.path_of("env/docker/Dockerfile")).read_text()
