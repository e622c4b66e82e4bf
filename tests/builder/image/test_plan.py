"""What an image will be follows from the manifest and the wishes alone."""

from __future__ import annotations

from typing import Any

import pytest

from bentoml.builder.image.plan import ImagePlan, docker_build_command, plan_image, with_packages
from bentoml.builder.oci.model import Platform
from bentoml.exceptions import BentoMLException, InvalidArgument
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.tag import Tag


def plan(
    *, image: dict[str, Any] | None = None, envs: tuple[dict[str, Any], ...] = (), config: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None, env: dict[str, str] | None = None, **wishes: Any,
) -> ImagePlan:  # fmt: skip
    info = BentoInfo(
        tag=Tag("iris", "v1"),
        service="service:Iris",
        entry_service="Iris",
        labels=labels or {},
        envs=envs,
        services=({"name": "Iris", "config": config or {}},),
        image={
            "python_version": "3.12",
            "base_image": "python:3.12-slim",
            "platform": "linux/arm64",
            **(image or {}),
        },
    )
    return plan_image(info, env=env or {}, **wishes)


def test_the_port_is_the_one_that_the_service_names() -> None:
    made = plan(config={"http": {"port": 8080}})
    assert (made.ports, made.health[-1]) == (("8080/tcp",), "8080")


def test_what_the_bento_says() -> None:
    made = plan()
    assert (made.base, made.platform, made.python_version) == (
        "python:3.12-slim",
        Platform("linux", "arm64"),
        "3.12",
    )
    assert (made.names, made.epoch, made.user) == (("iris:v1",), 0, "1034:1034")
    assert made.entrypoint == ("/home/bentoml/bento/env/docker/entrypoint.sh",)
    assert made.health == ("/app/.venv/bin/python", "-I", "-S", "-B", "/app/health.py", "3000")
    assert made.ports == ("3000/tcp",)


def test_what_the_user_wishes() -> None:
    made = plan(base="debs:bookworm", names=["a:1", "b"], env={"SOURCE_DATE_EPOCH": "1700000000"})
    assert (made.base, made.names, made.epoch) == ("debs:bookworm", ("a:1", "b"), 1_700_000_000)


def test_a_bento_that_names_no_base() -> None:
    assert plan(image={"base_image": ""}).base == "python:3.12-slim"


def test_the_environment_of_a_container() -> None:
    env = plan(
        image={"env": {"A": "docker", "B": "docker", "LANG": "fr"}},
        envs=({"name": "A", "value": "1"}, {"name": "C", "value": "2", "stage": "runtime"}),
    ).env
    assert (env["A"], env["B"], env["C"], env["LANG"]) == ("1", "docker", "2", "fr")
    assert env["BENTOML_HOME"] == "/home/bentoml"
    assert env["BENTOML_HOST"] == "0.0.0.0"
    assert env["BENTOML_CONTAINERIZED"] == "true"
    assert "NVIDIA_VISIBLE_DEVICES" not in env


def test_a_variable_without_a_value_is_left_to_whoever_runs_the_container() -> None:
    assert "TOKEN" not in plan(envs=({"name": "TOKEN", "value": "", "stage": "runtime"},)).env


def test_a_variant_of_the_locked_platform_is_the_same_machine() -> None:
    assert plan(platform="linux/arm64/v8").platform == Platform("linux", "arm64", "v8")


def test_secrets_of_the_build_are_no_part_of_it() -> None:
    made = plan(envs=({"name": "TOKEN", "value": "canary", "stage": "build"},))
    assert "TOKEN" not in made.env
    assert "canary" not in str(made)


@pytest.mark.parametrize(
    ("resources", "uses_gpu"),
    [
        ({}, False),
        ({"gpu": 1}, True),
        ({"gpu": "1"}, True),
        ({"gpu": 0}, False),
        ({"gpu": "0"}, False),
        ({"gpu_type": "nvidia-l4"}, True),
        ({"cpu": 2}, False),
    ],
)
def test_a_service_that_asks_for_a_gpu_gets_it(resources: dict[str, Any], uses_gpu: bool) -> None:
    made = plan(config={"resources": resources})
    assert made.uses_gpu is uses_gpu
    assert (made.env.get("NVIDIA_VISIBLE_DEVICES") == "all") is uses_gpu
    assert (made.env.get("NVIDIA_DRIVER_CAPABILITIES") == "compute,utility") is uses_gpu


@pytest.mark.parametrize(
    ("requirements", "needed"),
    [
        ("numpy==2.4.6\nnvidia-cuda-runtime-cu12==12.8.90 \\\n    --hash=sha256:0\n", "cuda>=12.8"),
        ("nvidia-cuda-runtime==13.0.48\n", "cuda>=13.0"),
        ("nvidia-cuda-runtime-extra==1.0\n", None),
        ("", None),
    ],
)
def test_the_driver_must_know_the_cuda_of_the_wheels(requirements: str, needed: str | None) -> None:
    gpus = plan(config={"resources": {"gpu": 1}}, requirements=requirements)
    assert gpus.env.get("NVIDIA_REQUIRE_CUDA") == needed
    assert "NVIDIA_REQUIRE_CUDA" not in plan(requirements=requirements).env


def test_which_gpus_is_the_users_choice() -> None:
    made = plan(config={"resources": {"gpu": 1}}, image={"env": {"NVIDIA_VISIBLE_DEVICES": "0"}})
    assert made.env["NVIDIA_VISIBLE_DEVICES"] == "0"


def test_labels() -> None:
    labels = plan(labels={"team": "a", "org.opencontainers.image.title": "mine"}).labels
    assert labels == {
        "team": "a",
        "bentoml.tag": "iris:v1",
        "org.opencontainers.image.title": "mine",
        "org.opencontainers.image.version": "v1",
    }


@pytest.mark.parametrize("key", ["conda", "dockerfile_template"])
def test_what_only_a_dockerfile_says_is_refused(key: str) -> None:
    with pytest.raises(BentoMLException, match=r"Dockerfile.*`docker build -t iris:v1 .*base_image"):
        plan(image={key: ["libgomp1"]})


@pytest.mark.parametrize("key", ["commands", "post_commands", "setup_script", "system_packages"])
def test_what_runs_in_the_image_is_planned(key: str) -> None:
    assert plan(image={key: ["libgomp1"]}).base == "python:3.12-slim"


def test_packages_of_the_system_go_upon_the_base() -> None:
    assert plan(image={"system_packages": ["libgomp1"]}).system_packages == ("libgomp1",)
    assert plan(image={"system_packages": ["libgomp1"]}, base="debs:bookworm").system_packages == ()


def test_what_is_cloned_in_the_image_takes_git() -> None:
    cloned = {"unpacked": ["x @ git+https://host/x"], "system_packages": ["curl"]}
    assert plan(image=cloned).system_packages == ("curl", "git")
    assert plan(image=cloned, base="debs:bookworm").system_packages == ("git",)
    assert plan(image={**cloned, "system_packages": ["git"]}).system_packages == ("git",)


def test_what_steps_see() -> None:
    made = plan(
        image={"env": {"A": "docker"}},
        envs=(
            {"name": "B", "value": "2", "stage": "all"},
            {"name": "TOKEN", "value": "", "stage": "build"},
        ),
        config={"resources": {"gpu": 1}},
    )
    assert {"A", "B", "LANG"} <= made.step_env.keys()
    assert not {"VIRTUAL_ENV", "NVIDIA_VISIBLE_DEVICES", "TOKEN"} & made.step_env.keys()
    assert made.secrets == ("TOKEN",)


def test_a_base_without_python_gets_one() -> None:
    cuda = {"cuda_version": "12.8.1", "base_image": "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04"}
    assert plan(image=cuda).brings_python
    assert not plan(image=cuda, base="python:3.12-slim").brings_python
    amazon = {"distro": "amazonlinux", "base_image": f"amazonlinux:2@sha256:{'0' * 64}"}
    assert plan(image=amazon).brings_python
    assert not plan(image=amazon, base="mine:1").brings_python
    assert not plan().brings_python


def test_the_command_that_builds_the_image_with_an_engine() -> None:
    model = ModelRef(tag=Tag("words", "v1"))
    envs = ({"name": "TOKEN", "value": "", "stage": "build"}, {"name": "A", "value": "1", "stage": "all"})
    info = BentoInfo(tag=Tag("iris", "v1"), models=(model,), envs=envs)
    assert docker_build_command(info) == (
        'docker build -t iris:v1 -f "$(bentoml get iris:v1 -o path)"/env/docker/Dockerfile '
        '--build-context models="${BENTOML_HOME:-$HOME/bentoml}/models" --secret id=TOKEN,env=TOKEN '
        '"$(bentoml get iris:v1 -o path)"'
    )


def test_all_that_is_refused_is_named_at_once() -> None:
    with pytest.raises(BentoMLException, match="`conda`, `dockerfile_template`"):
        plan(image={"dockerfile_template": ["x"], "conda": ["y"]})


@pytest.mark.parametrize(
    ("base", "whole"),
    [
        ("debs:bookworm", "debs:bookworm:libgomp1+ffmpeg"),
        ("debs:bookworm:curl", "debs:bookworm:curl+libgomp1+ffmpeg"),
        ("debs:bookworm@sha256:0", "debs:bookworm:libgomp1+ffmpeg@sha256:0"),
    ],
)
def test_a_base_of_debian_packages_brings_system_packages(base: str, whole: str) -> None:
    assert plan(image={"system_packages": ["libgomp1", "ffmpeg"]}, base=base).base == whole
    assert plan(base=base).base == base


def test_another_platform_than_the_locked_one() -> None:
    with pytest.raises(
        BentoMLException, match=r"locked for `linux/arm64`.*bentoml build --platform linux/arm64,linux/amd64"
    ):
        plan(platform="linux/amd64")


def test_a_bento_of_several_platforms() -> None:
    one, two = f"debs:bookworm@sha256:{'1' * 64}", f"debs:bookworm@sha256:{'2' * 64}"
    image = {
        "platforms": ["linux/amd64", "linux/arm64"],
        "base_image": "debs:bookworm",
        "base_images": {"linux/amd64": one, "linux/arm64": two},
    }
    assert (plan(image=image).platform, plan(image=image).base) == (Platform("linux", "amd64"), one), (
        "the first"
    )
    arm = plan(image=image, platform="linux/arm64/v8")
    assert (arm.platform, arm.base) == (Platform("linux", "arm64", "v8"), two)
    assert plan(image=image, platform="linux/arm64", base="debs:trixie").base == "debs:trixie"
    with pytest.raises(
        BentoMLException, match="locked for `linux/amd64` and `linux/arm64`, not for `linux/s390x`"
    ):
        plan(image=image, platform="linux/s390x")


def test_packages_of_the_system_stand_before_the_digest_of_their_base() -> None:
    digest = f"sha256:{'1' * 64}"
    assert with_packages(f"debs:bookworm@{digest}", ["curl", "git"]) == f"debs:bookworm:curl+git@{digest}"
    assert with_packages(f"python:3.11-slim@{digest}", ["curl"]) == f"python:3.11-slim@{digest}"


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        pytest.param({"names": ["UPPER:1"]}, "UPPER:1", id="name"),
        pytest.param({"names": [""]}, "``", id="no name"),
        pytest.param({"names": [f"a@sha256:{'0' * 64}"]}, "digest", id="digest"),
        pytest.param({"base": ""}, "`` is not an image reference", id="no base"),
        pytest.param({"base": "oci:"}, "`oci:` does not say which image", id="base without a name"),
        pytest.param({"base": "a b"}, "`a b` is not an image reference", id="base"),
        pytest.param({"platform": "arm64"}, "`arm64`", id="platform"),
        pytest.param({"env": {"SOURCE_DATE_EPOCH": "today"}}, "SOURCE_DATE_EPOCH is `today`", id="epoch"),
        pytest.param({"env": {"SOURCE_DATE_EPOCH": "-1"}}, "SOURCE_DATE_EPOCH", id="negative epoch"),
    ],
)
def test_wishes_that_cannot_be_understood(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        plan(**wishes)
