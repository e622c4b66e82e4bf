"""From a bento to an engine: what it is given, what comes back; engines are programs that note how they were called."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.builder.engines.programs import WRITES_ID, Programs
from tests.builder.handmade import save_bento, save_model

from bentoml.builder.docker.dockerfile import DockerfileSpec, render
from bentoml.builder.engines.build import build_with_engine
from bentoml.builder.engines.known import ENGINES, engine_of, is_healthy
from bentoml.builder.engines.model import EngineImage
from bentoml.builder.engines.options import Option
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound
from bentoml.store.bentos import Bento

ID = "sha256:" + "a" * 64
DOCKERFILE = render(DockerfileSpec("python:3.11-slim", system_packages=("git",)))


class Bench:
    """A store with a bento of one model, and a folder of programs."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root / "home")
        self.wheels = root / "wheels"
        self.model = save_model(self.home)
        self.bento = self.save()
        (root / "bin").mkdir()
        self.programs = Programs(root / "bin")
        for name in ("docker", "podman", "buildah", "nerdctl", "buildctl", "sudo"):
            self.programs.add(name)

    def save(self, **more: object) -> Bento:
        return save_bento(self.home, self.wheels, models=(self.model,), dockerfile=DOCKERFILE, **more)  # type: ignore[arg-type]  # as it takes them

    def build(
        self, name: str, *, env: dict[str, str] | None = None, bento: Bento | None = None, **more: object
    ) -> EngineImage:
        return build_with_engine(
            bento or self.bento, ENGINES[name], home=self.home, env=self.programs.env(**(env or {})), **more  # type: ignore[arg-type]  # as it takes them
        )  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("name", ["docker", "buildx", "podman", "buildah", "nerdctl"])
def test_an_engine_gets_the_bento_and_its_models(bench: Bench, name: str) -> None:
    result = bench.build(name, names=("a:1", "b:2"))
    (call,) = bench.programs.builds()
    assert (result.names, str(result.id), result.place) == (("a:1", "b:2"), ID, f"{name} has {ID}")
    assert call["dockerfile"] == DOCKERFILE
    assert call["env"]["DOCKER_BUILDKIT"] == "1"
    assert {"bento.yaml", "env/docker/Dockerfile", f"models/{bench.model.tag.path()}/model.yaml"} <= set(
        call["files"]
    )
    assert not Path(call["argv"][-1]).exists()
    assert list(bench.home.staging.iterdir()) == []


def test_no_byte_of_the_store_is_copied(bench: Bench) -> None:
    bench.build("podman")
    (call,) = bench.programs.builds()
    for entry in bench.model.tree.entries:
        inode = Path(bench.model.path_of(entry.path)).stat().st_ino
        assert call["files"][f"models/{bench.model.tag.path()}/{entry.path}"] == inode


def test_a_program_of_the_bento_that_is_none_any_more_is_refused(bench: Bench) -> None:
    file = Path(bench.model.path_of("words.txt"))
    file.chmod(0o555)
    with pytest.raises(BentoMLException, match=r"`words\.txt` can be executed, which it could not when"):
        bench.build("podman")
    assert bench.programs.builds() == []


def test_a_model_that_is_deleted_meanwhile_is_said_to_be(bench: Bench) -> None:
    @contextmanager
    def step(_: str) -> Iterator[None]:
        shutil.rmtree(bench.model.path)
        yield

    with pytest.raises(NotFound, match=f"^model `{bench.model.tag}` was deleted while it was read$"):
        bench.build("podman", step=step)
    assert bench.programs.builds() == []
    assert list(bench.home.staging.iterdir()) == []


def test_without_a_name_it_is_called_like_the_bento(bench: Bench) -> None:
    assert bench.build("podman").names == (str(bench.bento.tag),)


def test_the_image_of_buildctl_is_loaded(bench: Bench) -> None:
    bench.programs.add(
        "buildctl",
        'if "build" in words: pathlib.Path(words[words.index("--output") + 1].partition("dest=")[2]).write_text("x")',
    )
    bench.build("buildctl", names=("a:1",))
    load = bench.programs.calls()[-1]["argv"]
    assert load[:3] == ["docker", "load", "--input"]
    assert load[3].endswith("/image.tar")


def test_pushing(bench: Bench) -> None:
    bench.build("podman", names=("a:1", "localhost:5000/b:2"), options={"push": True})
    _, built, *pushed = (call["argv"] for call in bench.programs.calls())
    assert "--push" not in built
    assert pushed == [
        ["podman", "push", "a:1"],
        ["podman", "push", "--tls-verify=false", "localhost:5000/b:2"],
    ]


def test_an_image_that_goes_elsewhere_has_no_id(bench: Bench) -> None:
    bench.programs.add("podman", "")
    result = bench.build("podman", options={"output": "type=local,dest=x"})
    assert (result.id, result.place, result.files) == (None, "podman wrote `x`", ("x",))


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ({"output": "type=oci,dest=x.tar"}, ("x.tar",)),
        ({"output": ("folder", "type=docker,dest=y")}, ("folder", "y")),
        ({"output": ("type=oci,dest=x", "type=docker")}, ()),
        ({"output": "type=image,push=true"}, ()),
        ({"output": "type=oci,dest=x", "load": True}, ()),
        ({"push": True}, ()),
        ({}, ()),
    ],
    ids=str,
)
def test_an_image_that_the_engine_has_is_no_file(
    bench: Bench, options: dict[str, Option], files: tuple[str, ...]
) -> None:
    assert bench.build("buildx", options=options).files == files


@pytest.mark.parametrize("value", ["0", "false", "F"])
@pytest.mark.parametrize("name", ["docker", "podman"])
def test_without_buildkit_the_dockerfile_has_no_mounts(bench: Bench, name: str, value: str) -> None:
    bench.build(name, env={"DOCKER_BUILDKIT": value})
    (call,) = bench.programs.builds()
    assert "--mount" not in call["dockerfile"]
    assert call["env"]["DOCKER_BUILDKIT"] == "0"
    assert ("--force-rm" in call["argv"]) is (name == "docker"), (
        "it alone keeps the container of a step that fails"
    )
    assert "--mount" in Path(bench.bento.path_of("env/docker/Dockerfile")).read_text()


@pytest.mark.parametrize(("version", "has_it"), [("20.10.24", True), ("28.2.2", False)])
def test_a_client_without_its_plugin(bench: Bench, version: str, has_it: bool) -> None:
    bench.programs.add(
        "docker", f'sys.exit("no such command") if words[0] == "buildx" else print("{version}")'
    )
    bench.build("docker")
    (call,) = bench.programs.builds()
    assert call["env"]["DOCKER_BUILDKIT"] == str(int(has_it))
    assert ("--mount" in call["dockerfile"]) is has_it


def test_a_dockerfile_of_the_users_own(bench: Bench, tmp_path: Path) -> None:
    own = tmp_path / "Own"
    own.write_text("FROM own\nRUN --mount=type=cache,target=/x y\n")
    bench.build("podman", env={"DOCKER_BUILDKIT": "0"}, options={"file": str(own)})
    (call,) = bench.programs.builds()
    assert call["dockerfile"] == own.read_text()


@pytest.mark.parametrize("as_option", [False, True])
def test_the_packages_of_the_platform_are_installed(bench: Bench, as_option: bool) -> None:
    image = {"platforms": ["linux/amd64", "linux/arm64"]}
    bento = bench.save(image=image)
    other = Path(bento.path, "env/python/requirements-linux-arm64.txt")
    other.write_text("for arm\n")
    wish = {"options": {"platform": ("linux/arm64",)}} if as_option else {"platform": "linux/arm64"}
    bench.build("podman", bento=bento, **wish)
    (call,) = bench.programs.builds()
    assert call["argv"][call["argv"].index("--platform") + 1] == "linux/arm64"
    inode = other.stat().st_ino
    assert call["files"]["env/python/requirements.txt"] == inode
    assert Path(bento.path, "env/python/requirements.txt").stat().st_ino != inode


@pytest.mark.parametrize(
    ("platform", "said"),
    [
        ("linux/s390x", "locked for `linux/amd64`, not for `linux/s390x`"),
        ("nonsense", "`nonsense`"),
        ("linux/amd64,linux/arm64", "one platform at a time"),
    ],
)
def test_platforms_that_cannot_be(bench: Bench, platform: str, said: str) -> None:
    with pytest.raises(BentoMLException, match=said):
        bench.build("podman", platform=platform)
    assert bench.programs.calls() == []


SECRET = ({"name": "TOKEN", "value": "", "stage": "build"}, {"name": "A", "value": "b", "stage": "all"})


def test_a_secret_is_in_the_environment_alone(bench: Bench) -> None:
    bento = bench.save(envs=SECRET)
    bench.build("podman", bento=bento, env={"TOKEN": "canary"})
    (call,) = bench.programs.builds()
    assert call["env"]["TOKEN"] == "canary"
    assert call["argv"][call["argv"].index("--secret") + 1] == "id=TOKEN,env=TOKEN"
    assert "canary" not in " ".join(call["argv"]) + call["dockerfile"]


@pytest.mark.parametrize("name", ["TOKEN,src=/etc/passwd", "TOKEN --network=host", "-v", "A=B"])
def test_a_secret_that_says_more_than_its_name_is_refused(bench: Bench, name: str) -> None:
    bento = bench.save(envs=({"name": name, "value": "", "stage": "build"},))
    with pytest.raises(BentoMLException, match=r"bento.yaml: `envs\[0\].name`"):
        bench.build("podman", bento=bento, env={name: "canary"})
    assert bench.programs.builds() == []


def test_a_secret_without_a_value(bench: Bench) -> None:
    with pytest.raises(BentoMLException, match="needs `TOKEN` while its image is built; set"):
        bench.build("podman", bento=bench.save(envs=SECRET))
    assert bench.programs.calls() == []


def test_a_secret_without_buildkit(bench: Bench) -> None:
    with pytest.raises(BentoMLException, match=r"`TOKEN`.*without BuildKit"):
        bench.build("docker", bento=bench.save(envs=SECRET), env={"TOKEN": "x", "DOCKER_BUILDKIT": "0"})
    assert bench.programs.builds() == []


@pytest.mark.parametrize(
    ("engine", "begins"),
    [("podman", ["podman", "build"]), ("docker", ["env", "DOCKER_BUILDKIT=1", "docker", "build"])],
)
@pytest.mark.parametrize("envs", [(), SECRET], ids=["plain", "secret"])
def test_as_root(bench: Bench, engine: str, begins: list[str], envs: tuple[dict[str, str], ...]) -> None:
    bench.build(engine, bento=bench.save(envs=envs), env={"TOKEN": "canary"}, as_root=True)
    words = ["sudo", *(["--preserve-env=TOKEN"] if envs else []), *begins]
    argv = bench.programs.calls()[-1]["argv"]
    assert argv[: len(words)] == words
    assert "canary" not in " ".join(argv)


def test_what_the_engine_writes_is_told(bench: Bench) -> None:
    bench.programs.add("podman", 'print("STEP 1/2", flush=True); print("a warning", file=sys.stderr)')
    told: list[str] = []
    bench.build("podman", tell=told.append)
    assert told == ["STEP 1/2", "a warning"]


def test_an_engine_that_is_not_there(bench: Bench) -> None:
    (bench.programs.folder / "podman").unlink()
    with pytest.raises(BentoMLException, match="`podman` is not healthy: `podman version`"):
        bench.build("podman")
    assert not is_healthy(ENGINES["podman"], bench.programs.env())


def test_an_engine_that_fails_says_why_and_leaves_nothing(bench: Bench) -> None:
    bench.programs.add("podman", 'sys.exit("no space left" if words[0] == "build" else 0)')
    with pytest.raises(BentoMLException, match=r"(?s)`podman build .*exit code 1\nno space left"):
        bench.build("podman")
    assert list(bench.home.staging.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["Bad Name", "--privileged", "a:1\n", "a@sha256:" + "a" * 64, "http://x/a:1", ""]
)
def test_bad_names(bench: Bench, name: str) -> None:
    with pytest.raises(InvalidArgument):
        bench.build("podman", names=(name,))
    assert bench.programs.calls() == []


def test_a_damaged_model_is_not_built(bench: Bench) -> None:
    file = Path(bench.model.path_of(bench.model.tree.entries[0].path))
    file.chmod(0o644)
    file.write_text("other")
    with pytest.raises(BentoMLException, match=str(bench.model.tag)):
        bench.build("podman")
    assert bench.programs.calls() == []


def test_an_engine_of_the_users_own(bench: Bench) -> None:
    bench.programs.add("limactl", WRITES_ID)
    engine = engine_of(
        "lima", ("limactl", "build"), lambda *, tag, context_path, **_: [*tag, context_path],
        lambda: True, has_mounts=False, env={"Q": "1"},
    )  # fmt: skip
    result = build_with_engine(bench.bento, engine, home=bench.home, env=bench.programs.env(), names=("a:1",))
    (call,) = bench.programs.builds()
    assert call["argv"][:3] == ["limactl", "build", "a:1"]
    assert call["env"]["Q"] == "1"
    assert result.id is None
    assert not is_healthy(engine_of("x", ("x",), list, lambda: False, has_mounts=True, env={}), {})
