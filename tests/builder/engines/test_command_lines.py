from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bentoml.builder.engines.known import ENGINES, engine_of, get_engine
from bentoml.builder.engines.model import Request
from bentoml.builder.engines.options import Option
from bentoml.exceptions import InvalidArgument

REQUEST = Request(
    Path("/c"), Path("/c/env/docker/Dockerfile"), ("a:1", "localhost:5000/b:2"), "linux/arm64", Path("/s")
)
ASKED = replace(
    REQUEST,
    secrets=("TOKEN",),
    options={"target": ("dev",), "build_arg": {"A": "B"}, "no_cache": True, "label": ("k=v", "l=w")},
)
DOCKER_LIKE = (
    "--platform linux/arm64 --iidfile /s/id --target dev --build-arg A=B --no-cache --label k=v --label l=w "
    "--secret id=TOKEN,env=TOKEN --tag a:1 --tag localhost:5000/b:2 --file /c/env/docker/Dockerfile /c"
)

IN_FORMAT = DOCKER_LIKE.replace("/s/id", "/s/id --format docker")


def line(name: str, request: Request = REQUEST, **options: Option) -> str:
    engine = ENGINES[name]
    request = replace(request, options={**request.options, **options})
    return " ".join([*engine.command, *engine.arguments(request)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("docker", f"docker build {DOCKER_LIKE}"),
        ("buildx", f"docker buildx build {DOCKER_LIKE.replace('/s/id', '/s/id --load')}"),
        ("podman", f"podman build {IN_FORMAT}"),
        ("buildah", f"buildah build {IN_FORMAT}"),
        ("nerdctl", f"nerdctl build {DOCKER_LIKE}"),
        (
            "buildctl",
            "buildctl build --frontend dockerfile.v0 --local context=/c --local dockerfile=/c/env/docker --opt filename=Dockerfile "
            "--opt platform=linux/arm64 --opt target=dev --opt build-arg:A=B --opt label:k=v --opt label:l=w "
            '--secret id=TOKEN,env=TOKEN --no-cache --output type=docker,"name=a:1,localhost:5000/b:2",dest=/s/image.tar',
        ),
    ],
)
def test_command_lines(name: str, expected: str) -> None:
    assert line(name, ASKED) == expected


@pytest.mark.parametrize("name", ["docker", "buildx", "podman", "buildah", "nerdctl"])
def test_what_the_user_says_goes_before_what_we_say(name: str) -> None:
    said = line(name, platform="linux/s390x", file="Mine", iidfile="/i")
    assert said.count("--platform") == said.count("--file") == said.count("--iidfile") == 1
    assert {"--platform linux/s390x", "--file Mine", "--iidfile /i"} <= {
        f"{a} {b}" for a, b in zip(said.split(), said.split()[1:], strict=False)
    }


@pytest.mark.parametrize("options", [{"push": True}, {"output": "type=oci,dest=x"}, {"load": True}], ids=str)
def test_buildx_loads_what_goes_nowhere_else(options: dict[str, Option]) -> None:
    said = line("buildx", ASKED, **options)
    assert said.count("--load") == ("load" in options)


@pytest.mark.parametrize(
    ("output", "has_id"),
    [
        ("type=local,dest=x", False), (("type=tar,dest=x.tar",), False), ("folder", False), ("-", False),
        ("type=oci,dest=x", True), ("type=registry", True), ("dest=x,type=docker", True),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("name", ["docker", "buildx"])
def test_files_have_no_id(name: str, output: Option, has_id: bool) -> None:
    """buildx 0.29: local and tar exporters are incompatible with image ID file."""
    assert ("--iidfile" in line(name, output=output)) is has_id


def test_buildctl_has_other_words() -> None:
    said = line(
        "buildctl",
        file=("/d/Mine",),
        output=("type=oci,dest=x",),
        cache_from=("type=local,src=c",),
        cache_to="type=inline",
        build_context={"models": "/m", "base": "docker-image://b:1"},
        network=("host",),
        add_host=("a:1.2.3.4", "b=::1"),
        pull=True,
        progress="plain",
    )
    assert said == (
        "buildctl build --frontend dockerfile.v0 --local context=/c --local dockerfile=/d --opt filename=Mine "
        "--opt platform=linux/arm64 --local models=/m --opt context:models=local:models --opt context:base=docker-image://b:1 "
        "--opt force-network-mode=host --allow network.host --opt add-hosts=a=1.2.3.4,b=::1 --opt image-resolve-mode=pull "
        "--output type=oci,dest=x --import-cache type=local,src=c --export-cache type=inline --progress plain"
    )


def test_pushing_and_loading_are_no_part_of_building_where_they_are_commands() -> None:
    for name in ("docker", "podman", "buildah", "nerdctl"):
        assert line(name, push=True, load=True) == line(name)
        assert ENGINES[name].pushes == (name, "push")
    assert line("buildctl", load=True) == line("buildctl")
    assert line("buildctl", push=True).endswith('--output type=image,"name=a:1,localhost:5000/b:2",push=true')


@pytest.mark.parametrize("name", ["podman", "buildah"])
def test_loopback_is_spoken_to_in_plain_http(name: str) -> None:
    """Docker and nerdctl do so by themselves."""
    pushed = {
        at: ENGINES[name].push(at)
        for at in ("localhost:5000/b:2", "127.0.0.1:5000/b", "[::1]:5000/b", "r.example/b:2", "a:1")
    }
    assert [at for at, words in pushed.items() if "--tls-verify=false" in words] == list(pushed)[:3]
    assert pushed["a:1"] == [name, "push", "a:1"]
    assert pushed["127.0.0.1:5000/b"] == [name, "push", "--tls-verify=false", "127.0.0.1:5000/b"]


def test_without_a_platform_the_engine_takes_its_own() -> None:
    for name in ENGINES:
        assert "platform" not in line(name, replace(REQUEST, platform=None))


@pytest.mark.parametrize("given", ["/i", ("/i",), Path("/i")], ids=str)
def test_where_the_id_is(given: Option) -> None:
    assert replace(REQUEST, options={"iidfile": given}).id_file == Path("/i")
    assert REQUEST.id_file == Path("/s/id")


def test_an_unknown_engine() -> None:
    with pytest.raises(InvalidArgument, match="`kaniko` is not known; there are `docker`, `buildx`"):
        get_engine("kaniko")


def test_an_engine_of_the_users_own() -> None:
    seen: dict[str, object] = {}

    def construct(**options: object) -> list[str]:
        seen.update(options)
        return ["A", "B"]

    engine = engine_of("lima", ("limactl", "build"), construct, lambda: True, has_mounts=True, env={})
    assert engine.arguments(ASKED) == ["A", "B"]
    assert seen == {
        **ASKED.options,
        "tag": ASKED.names,
        "file": "/c/env/docker/Dockerfile",
        "context_path": "/c",
        "secret": ("id=TOKEN,env=TOKEN",),
    }
