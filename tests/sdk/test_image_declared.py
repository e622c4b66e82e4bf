"""The image that a service declares: what each method adds, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.sdk.services import of

import bentoml
from bentoml.exceptions import BentoMLConfigException
from bentoml.images import Image


def test_methods_add_and_give_the_image() -> None:
    image = Image(python_version="3.12")
    same = (
        image.system_packages("curl", "git")
        .run("echo before")
        .python_packages("numpy>=2", "--index-url http://127.0.0.1/simple")
        .requirements_file("requirements.txt")
        .pyproject_toml()
        .build_include("data")
        .run("echo after")
        .run_script("scripts/after.sh")
    )
    assert same is image
    (script,) = image.scripts
    assert image.packages == ["curl", "git"]
    assert image.commands == ["echo before"]
    assert image.post_commands == ["echo after", f"chmod +x ./env/docker/{script} && ./env/docker/{script}"]
    assert image.requirements == [
        "numpy>=2", "--index-url http://127.0.0.1/simple", "-r requirements.txt",
    ]  # fmt: skip
    assert image.pyprojects == ["pyproject.toml"]
    assert image.build_include_paths == ["data"]
    assert image.scripts == {script: "scripts/after.sh"}
    assert image.declared()["python_version"] == "3.12"


def test_all_of_it_at_once() -> None:
    image = Image(
        base_image="own/image:1",
        distro="own",
        commands=["a"],
        post_commands=["b"],
        python_requirements="numpy\nsix\n",
        build_include_paths=["data"],
        lock_python_packages=False,
    )
    said = image.declared()
    assert (said["commands"], said["post_commands"], said["requirements"]) == (["a"], ["b"], ["numpy", "six"])
    assert (said["base_image"], said["lock_python_packages"]) == ("own/image:1", False)


def test_a_lock_of_uv_means_the_project_beside_it() -> None:
    image = Image().uv_lock("app/uv.lock")
    assert (image.lock_file, image.pyprojects) == ("app/uv.lock", ["app/pyproject.toml"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Image(distro="gentoo"), "distro `gentoo` has no image of its own"),
        (lambda: Image(base_image="x", distro="gentoo").system_packages("git"), "nobody knows how `gentoo`"),
        (lambda: Image().python_packages(), "needs at least one package"),
        (lambda: Image().python_packages("a\nRUN b"), "is no requirement"),
        (lambda: Image().python_packages("a").run("b").python_packages("c"), "Can't separate adding python"),
        (lambda: Image().python_packages("a").run("b").requirements_file("c"), "Can't separate"),
        (lambda: Image().run(" "), "is no command"),
        (lambda: Image().run("a\x00b"), "is no command"),
        (lambda: Image().run_script("/etc/passwd"), "`/etc/passwd` is not a file of the project"),
        (lambda: Image().requirements_file("../r.txt"), "`../r.txt` is not a file of the project"),
        (lambda: Image().build_include(".ssh/id"), "`.ssh/id` is not a file of the project"),
        (lambda: Image().build_include("a b"), "`a b` is not a file of the project"),
    ],
)
def test_what_is_refused(make: Callable[[], Image], said: str) -> None:
    with pytest.raises(BentoMLConfigException, match=said):
        make()


def test_a_service_has_an_image() -> None:
    image = Image()

    @bentoml.service(image=image)
    class Service:
        pass

    assert of(Service).image is image
    with pytest.raises(BentoMLConfigException, match=r"is a `bentoml\.images\.Image`, not 'python:3'"):
        bentoml.service(image="python:3")(type("Other", (), {}))  # type: ignore[call-overload]  # what is refused
