"""The base of a bento, pinned when it is built, and bentos that hold the packages of several platforms."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.builder.handmade import wheel
from tests.builder.oci.images import small_image
from tests.registry.fake_registry import FakeRegistry, running

from bentoml.builder.bento import build
from bentoml.builder.build_file.config import load_config
from bentoml.builder.contents.wheel import runtime_requirements
from bentoml.builder.job import BuildOptions
from bentoml.builder.oci.model import Platform
from bentoml.builder.packages.lock import LockRequest, read_lock_file
from bentoml.cli.main import run
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, InvalidArgument
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.digest import Digest

MINIMAL = Path(__file__).parents[1] / "projects" / "minimal"
ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
BOTH = "linux/amd64,linux/arm64"


class Resolver:
    """Find another package for each machine."""

    def resolve(self, request: LockRequest) -> str:
        return f"numpy=={len(request.platform.machine)} \\\n    --hash=sha256:{'0' * 64}\n"


class Finder:
    def __init__(self, *answers: Digest | None) -> None:
        self.answers, self.asked = list(answers), list[str]()

    def __call__(self, reference: str, platform: Platform) -> Digest | None:
        self.asked.append(f"{reference} {platform}")
        return self.answers.pop(0)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MINIMAL, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__")))


def built(project: Path, finder: Finder, docker: str = "{}", **options: object) -> Bento:
    (project / "bentofile.yaml").write_text(
        f"service: 'service:GreetingCardService'\npython: {{packages: [numpy]}}\ndocker: {docker}\n"
    )
    return build(
        project, load_config(project), home=Home(project.parent / "home"), env=os.environ,
        options=BuildOptions(**options), resolver=Resolver(), find_digest=finder,  # type: ignore[arg-type]  # checked by what is built
    )  # fmt: skip


def test_the_bento_and_its_dockerfile_name_the_digest(project: Path) -> None:
    finder = Finder(ONE)
    bento = built(project, finder, "{python_version: '3.11'}")
    assert bento.info.image["base_image"] == f"python:3.11-slim@{ONE}"
    dockerfile = Path(bento.path_of("env/docker/Dockerfile")).read_text()
    assert re.search(rf"^FROM python:3.11-slim@{ONE}( |$)", dockerfile, re.MULTILINE)
    again = built(project, finder, "{python_version: '3.11'}")
    assert again.tag == bento.tag and len(finder.asked) == 1
    moved = built(project, Finder(TWO), "{python_version: '3.11'}", update_base=True)
    assert moved.info.image["base_image"] == f"python:3.11-slim@{TWO}" and moved.tag != bento.tag


def test_packages_move_without_the_base_and_the_base_without_packages(project: Path) -> None:
    built(project, Finder(ONE))
    assert str(ONE) in built(project, Finder(), lock_mode="update").info.image["base_image"]
    before = read_lock_file(project / "bentofile.lock").entries
    built(project, Finder(TWO), update_base=True)
    assert read_lock_file(project / "bentofile.lock").entries == before


def test_locked_takes_the_lock_as_it_is(project: Path) -> None:
    unpinned = built(project, Finder(None))
    assert "@" not in unpinned.info.image["base_image"]
    assert built(project, Finder(), lock_mode="locked").tag == unpinned.tag
    pinned = built(project, Finder(ONE))
    assert built(project, Finder(), lock_mode="locked").tag == pinned.tag
    with pytest.raises(BentoMLException, match=r"no digest of base image `debs:bookworm linux/amd64`"):
        built(project, Finder(), "{base_image: 'debs:bookworm'}", lock_mode="locked")


def test_packages_of_the_system_count_for_the_digest_of_their_base(project: Path) -> None:
    finder = Finder(ONE)
    bento = built(project, finder, "{base_image: 'debs:bookworm', system_packages: [curl]}")
    assert finder.asked == ["debs:bookworm:curl linux/amd64"]
    assert bento.info.image["base_image"] == f"debs:bookworm@{ONE}"


def test_an_image_of_the_engine_is_pinned_for_us_and_named_for_the_engine(project: Path) -> None:
    bento = built(project, Finder(ONE), "{base_image: 'docker://mine:1'}")
    assert bento.info.image["base_image"] == f"docker://mine:1@{ONE}"
    dockerfile = Path(bento.path_of("env/docker/Dockerfile")).read_text()
    assert re.search(r"^FROM mine:1( |$)", dockerfile, re.MULTILINE)


def test_a_project_without_a_lock_asks_when_it_is_told_to(project: Path) -> None:
    def minimal(finder: Finder, **options: bool) -> str:  # a project that locks no packages
        home, wishes = Home(project.parent / "home"), BuildOptions(**options)  # type: ignore[arg-type]  # checked by what is built
        bento = build(
            project, load_config(project), home=home, env=os.environ, options=wishes, find_digest=finder
        )
        return str(bento.info.image["base_image"]).partition("@")[2]

    assert minimal(Finder()) == ""
    assert not (project / "bentofile.lock").exists()
    assert minimal(Finder(ONE), update_base=True) == str(ONE)
    assert minimal(Finder()) == str(ONE), "which the lock has now"


def test_a_bento_holds_the_packages_of_each_platform(project: Path) -> None:
    single = built(project, Finder(ONE), "{python_version: '3.11'}")
    bento = built(project, Finder(), "{python_version: '3.11'}", platform=BOTH)
    files = {p.name: p.read_text() for p in Path(bento.path_of("env/python")).glob("*.txt")}
    assert {name: text.partition(" ")[0] for name, text in files.items()} == {
        "requirements.txt": "numpy==6",
        "requirements-linux-arm64.txt": "numpy==7",
    }
    image = bento.info.image
    assert image["platform"] == "linux/amd64" and image["platforms"] == ["linux/amd64", "linux/arm64"]
    assert image["base_image"] == f"python:3.11-slim@{ONE}", "an index is one for all"
    assert len(read_lock_file(project / "bentofile.lock").entries) == 2
    assert "platforms" not in single.info.image
    assert not Path(single.path_of("env/python/requirements-linux-arm64.txt")).exists()


def test_each_platform_has_its_own_debian_packages(project: Path) -> None:
    bento = built(project, Finder(ONE, TWO), "{base_image: 'debs:bookworm'}", platform=BOTH)
    assert bento.info.image["base_image"] == "debs:bookworm"
    assert bento.info.image["base_images"] == {
        "linux/amd64": f"debs:bookworm@{ONE}",
        "linux/arm64": f"debs:bookworm@{TWO}",
    }


@pytest.mark.parametrize(
    "platforms", ["linux/amd64,linux/amd64", "linux,x86_64-manylinux_2_28", "linux/amd64,"]
)
def test_platforms_are_checked(project: Path, platforms: str) -> None:
    with pytest.raises(InvalidArgument, match=r"more than once|is not supported"):
        built(project, Finder(), platform=platforms)
    assert not (project / "bentofile.lock").exists()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running(FakeRegistry()) as fake:
        fake.add("team/base", "1", small_image("one"))
        yield fake


def bentoml(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run(["build", *arguments])
    return int(ended.value.code or 0)


def test_the_command_pins_keeps_and_moves_it(
    project: Path, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("BENTOML_HOME", str(project.parent / "home"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    links = project / "wheels"
    base = f"{registry.host}/team/base:1"
    Path("bentofile.yaml").write_text(yaml.safe_dump({
        "service": "service:GreetingCardService", "docker": {"base_image": base},
        "python": {"lock_packages": True, "no_index": True, "find_links": ["wheels"], "pip_args": "--no-deps", "packages": ["own"]},
    }))  # fmt: skip
    wheel(links, "own")
    for name in sorted(set(re.findall(r"^[a-z_0-9-]+", "\n".join(runtime_requirements()), re.MULTILINE))):
        wheel(links, name.replace("-", "_"), "99.0")
    images = []
    for options in ((), ("--locked",), ("--offline",), (), ("--update-base",), ("--locked",)):
        assert bentoml(*options) == 0, capsys.readouterr().err
        images.append(
            BentoStore(Home(project.parent / "home")).get("greeting_card_service").info.image["base_image"]
        )
        registry.add("team/base", "1", small_image(f"moved {len(images)}"))
    first = small_image("one").root.digest
    later = small_image("moved 4").root.digest
    assert images == [f"{base}@{first}"] * 4 + [f"{base}@{later}"] * 2
    asked = [path for path in registry.paths() if "/manifests/" in path]
    assert len(asked) == 2, "a lock that has the digest asks nobody"
    assert bentoml("--update-base", "--locked") == 2
    assert bentoml("--update-base", "--offline") == 2
    registry.statuses = [403] * 2
    assert bentoml("--update-base") == 1
    assert "403" in capsys.readouterr().err
    assert str(later) in Path("bentofile.lock").read_text()
