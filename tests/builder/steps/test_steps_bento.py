"""Which steps a bento has, in which order, and what they find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.builder.handmade import base, save_bento

from bentoml.builder.image.plan import plan_image
from bentoml.builder.oci.cache import Cache
from bentoml.builder.steps.bento import (
    added_below,
    base_of_bento,
    layers_after_packages,
    steps_after,
    steps_before,
)
from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.bentos import Bento

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "TOKEN": "canary-123"}


def bento(tmp_path: Path, **image: object) -> Bento:
    envs = ({"name": "TOKEN", "value": "", "stage": "build"}, {"name": "A", "value": "1", "stage": "all"})
    files = {
        "env/docker/setup_script": "#!/bin/sh\n",
        "env/docker/script__1": "#!/bin/sh\n",
        "src/libs/a/x.py": "",
    }
    return save_bento(Home(tmp_path / "home"), tmp_path / "wheels", image=image, envs=envs, files=files)


def named(bento: Bento) -> Mapping[str, list[str]]:
    plan = plan_image(bento.info, env={})
    return {
        "before": [step.name for step in steps_before(bento, plan).runs],
        "after": [step.name for step in steps_after(bento, plan, path="/bin").runs],
    }


def test_the_order_is_that_of_the_dockerfile(tmp_path: Path) -> None:
    made = bento(tmp_path, commands=["a", "b"], post_commands=["c"], setup_script="env/docker/setup_script")
    assert named(made) == {
        "before": ["setup_script", "commands[0]", "commands[1]"],
        "after": ["post_commands[0]"],
    }


def test_a_bento_without_steps_has_none(tmp_path: Path) -> None:
    assert named(bento(tmp_path)) == {"before": [], "after": []}


def test_what_steps_find(tmp_path: Path) -> None:
    made = bento(tmp_path, commands=["a"], post_commands=["b"], build_include=["libs"])
    plan = plan_image(made.info, env={})
    before, after = steps_before(made, plan), steps_after(made, plan, path="/bin")
    scripts = {"home/bentoml/bento/env/docker/script__1", "home/bentoml/bento/env/docker/setup_script"}
    assert {entry.path for entry in before.files} == scripts
    assert all(entry.mode == 0o755 for entry in before.files)
    included = {"home/bentoml/bento/env/python/requirements.txt", "home/bentoml/bento/src/libs/a/x.py"}
    assert {entry.path for entry in after.files} == scripts | included
    assert before.working_dir == after.working_dir == "/home/bentoml/bento"
    assert before.env["A"] == after.env["A"] == "1"
    assert before.secrets == after.secrets == ("TOKEN",)
    assert after.env["PATH"] == "/app/.venv/bin:/bin"
    assert "VIRTUAL_ENV" not in before.env and after.env["VIRTUAL_ENV"] == "/app/.venv"


def test_a_changed_source_changes_no_step(tmp_path: Path) -> None:
    image = {"commands": ["a"], "post_commands": ["b"]}
    one = save_bento(Home(tmp_path / "1"), tmp_path / "wheels", image=image, source="print(1)\n")
    two = save_bento(Home(tmp_path / "2"), tmp_path / "wheels", image=image, source="print(2)\n")
    plans = [plan_image(made.info, env={}) for made in (one, two)]
    assert steps_before(one, plans[0]).digest() == steps_before(two, plans[1]).digest()
    assert steps_after(one, plans[0], path="").digest() == steps_after(two, plans[1], path="").digest()


@pytest.mark.parametrize("key", ["commands", "setup_script", "post_commands"])
def test_without_an_engine_the_step_is_named(tmp_path: Path, key: str) -> None:
    made = bento(tmp_path, **{key: ["echo"]})
    plan, cache = plan_image(made.info, env={}), Cache(tmp_path / "cache")
    name = "setup_script" if key == "setup_script" else rf"{key}\[0\]"
    with pytest.raises(
        BentoMLException, match=rf"(?s)`{name}` would have to run in the image.*set `DOCKER_HOST`$"
    ):
        if key == "post_commands":
            layers_after_packages(base(), (), made, plan, cache=cache, env=NO_ENGINE, offline=False)
        else:
            base_of_bento(base(), made, plan, cache=cache, env=NO_ENGINE, offline=False)
    assert not list(cache.root.glob("drafts/*"))


def test_a_base_without_python_gets_one_unless_it_has_it(tmp_path: Path) -> None:
    made = bento(tmp_path, cuda_version="12.8.1")
    plan, cache = plan_image(made.info, env={}), Cache(tmp_path / "cache")
    assert added_below(made, plan) == "Python 3.11"
    assert base_of_bento(base(), made, plan, cache=cache, env={}, offline=True) == base()
    with pytest.raises(BentoMLException, match="has no Python"):
        base_of_bento(base(python="/opt/other"), made, plan, cache=cache, env={}, offline=True)


def test_a_secret_without_a_value_is_named(tmp_path: Path) -> None:
    made = bento(tmp_path, commands=["echo"])
    plan, cache = plan_image(made.info, env={}), Cache(tmp_path / "cache")
    for env in ({}, {"TOKEN": ""}):
        with pytest.raises(BentoMLException, match="no value for the secret `TOKEN`"):
            base_of_bento(base(), made, plan, cache=cache, env=env, offline=False)
