"""A manifest that was changed by hand, or comes from elsewhere: what no build writes is refused with its key named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bentoml.builder.image.recorded import check_recorded, checked_labels
from bentoml.exceptions import BentoMLException, InvalidArgument
from bentoml.store.manifest import BentoInfo
from bentoml.tag import Tag

INFO = BentoInfo(
    tag=Tag("greeter", "v1"),
    service="service:Greeter",
    entry_service="Greeter",
    labels={"team": "search", "year": 2026},  # type: ignore[dict-item]  # as BentoML writes it
    image={
        "base_image": f"python:3.11-slim@sha256:{'0' * 64}", "base_images": {"linux/arm64": "debs:bookworm:git+curl@sha256:x"},
        "python_version": "3.11", "distro": "debian", "platform": "linux/amd64", "platforms": ["linux/amd64", "linux/arm64"],
        "commands": ["echo a\n\techo b"], "post_commands": [], "system_packages": ["libc6:amd64", "g++=4:12.2"], "cuda_version": "12.8.1",
        "env": {"A": "-x=$(y) ü", "_b": 1}, "index_url": "https://a/simple", "find_links": ["./wheels"], "no_index": False,
        "pip_args": "--pre", "build_include": ["requirements/a..b.txt"], "compile": True, "setup_script": "env/docker/setup_script",
    },
    envs=({"name": "TOKEN", "value": "", "stage": "build"}, {"name": "A", "value": "b"}),
    services=(
        {"name": "Greeter", "config": {"http": {"port": 8080}, "resources": {"gpu": 1}}},
        {"name": "B", "config": None},
    ),
)  # fmt: skip
BREAKING = ["a\nb", "a\rb", "a\0b", "a\x1b[2J", "a\x85b", "a\u2028b", "a\u2029b", "x" * 20_000]
TEXTS = [
    "base_image",
    "python_version",
    "distro",
    "platform",
    "index_url",
    "cuda_version",
    "setup_script",
    "pip_args",
]
LISTS = [
    "system_packages",
    "extra_index_url",
    "find_links",
    "trusted_host",
    "build_include",
    "platforms",
    "wheels",
]


def test_what_builds_write_is_taken() -> None:
    check_recorded(INFO)
    check_recorded(BentoInfo(tag=Tag("empty", "v1")))


def refused(key: str, **changes: Any) -> None:
    with pytest.raises(BentoMLException) as caught:
        check_recorded(replace(INFO, **changes))
    message = str(caught.value)
    assert f"bento.yaml: `{key}" in message and "build it again" in message
    assert len(message) < 2000 and not set(message) & set("\r\0\x1b\x85\u2028\u2029")


@pytest.mark.parametrize("text", BREAKING, ids=ascii)
@pytest.mark.parametrize("key", [*TEXTS, *LISTS, "env", "base_images"])
def test_text_that_is_more_than_a_line(key: str, text: str) -> None:
    value = [text] if key in LISTS else {"A": text} if key in ("env", "base_images") else text
    refused(f"image.{key}", image={**INFO.image, key: value})


@pytest.mark.parametrize("value", [7, {"a": "b"}, [["a"]], [1], True], ids=str)
@pytest.mark.parametrize("key", [*LISTS, "commands", "post_commands"])
def test_lists_are_lists_of_texts(key: str, value: object) -> None:
    refused(f"image.{key}", image={**INFO.image, key: value})


@pytest.mark.parametrize(
    "value", ["a", ["A=b"], 7, {"A": ["b"]}, {"A=B": "c"}, {"": "c"}, {"a b": "c"}], ids=str
)
def test_variables_are_names_and_texts(value: object) -> None:
    refused("image.env", image={**INFO.image, "env": value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("python_version", "../../x"), ("python_version", "--x"), ("python_version", ["3.11"]), ("base_image", "--platform=x"),
        ("system_packages", ["--allow-untrusted"]), ("build_include", ["../../etc/shadow"]), ("build_include", ["/etc/shadow"]),
        ("build_include", ["a/.."]), ("commands", ["a\0b"]), ("commands", ["a\x1b[2J"]), ("no_index", "yes"), ("platform", "x"),
        ("platforms", ["linux/amd64/v1/x"]),
    ],
    ids=str,
)  # fmt: skip
def test_values_that_mean_something_else(key: str, value: object) -> None:
    refused(f"image.{key[:8]}", image={**INFO.image, key: value})


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("envs[1].name", {"name": "A=B"}), ("envs[1].name", {"name": ""}), ("envs[1].name", {"name": "a\nb"}), ("envs[1].value", {"value": "a\0b"}),
        ("envs[1].value", {"value": ["b"]}), ("envs[1].stage", {"stage": "else"}),
    ],
    ids=str,
)  # fmt: skip
def test_declared_variables(key: str, change: dict[str, Any]) -> None:
    refused(key, envs=(INFO.envs[0], {**INFO.envs[1], **change}))


@pytest.mark.parametrize(
    ("key", "service"),
    [
        ("services[0].config", {"config": "x"}),
        ("services[0].config.http", {"config": {"http": [80]}}),
        ("services[0].config.http.port", {"config": {"http": {"port": "80; id"}}}),
        ("services[0].config.http.port", {"config": {"http": {"port": 99_999}}}),
        ("services[0].config.resources", {"config": {"resources": "gpu"}}),
        ("services[0].config.resources.gpu", {"config": {"resources": {"gpu": ["1"]}}}),
    ],
    ids=str,
)
def test_services(key: str, service: dict[str, Any]) -> None:
    refused(key, services=(service,))


def test_labels_that_are_given() -> None:
    assert checked_labels({"a": "-b ü", "n": 1}) == {"a": "-b ü", "n": "1"}  # type: ignore[dict-item]  # from Python code
    for text in ("a\nb", "a\0b", "\ud800", ["a"], None):
        with pytest.raises(InvalidArgument, match=r"`labels\.a`"):
            checked_labels({"a": text})  # type: ignore[dict-item]  # as above


def test_labels() -> None:
    refused("labels.a", labels={"a": ["b"]})
    refused("labels.a", labels={"a": "b\nc"})
