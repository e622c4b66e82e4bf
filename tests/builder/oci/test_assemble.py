"""An image's configuration: what comes from the base, what is the bento's, and that nothing else is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.builder.handmade import base, layer

from bentoml.builder.oci.assemble import RunConfig, assemble, base_environment
from bentoml.builder.oci.model import Layer, Platform
from bentoml.exceptions import BentoMLException

RUN = RunConfig(
    user="1034:1034",
    working_dir="/home",
    entrypoint=("/start",),
    env={"PATH": "/app:/bin", "A": "1"},
    ports=("3000/tcp",),
    labels={"mine": "yes"},
)
MINE = layer([])._replace(kind="source", about="bento iris:1")


def config_of(*layers: Layer, epoch: int = 0, **changes: Any) -> dict[str, Any]:
    image = assemble(base(env=("A=0", "B=x=y"))._replace(**changes), layers, RUN, epoch=epoch)
    loaded: dict[str, Any] = json.loads(image.config)
    return loaded


def test_how_it_runs() -> None:
    run = config_of(MINE)["config"]
    assert run["User"] == "1034:1034"
    assert run["Entrypoint"] == ["/start"]
    assert run["Env"] == ["PATH=/app:/bin", "PYTHON_VERSION=3.11", "A=1", "B=x=y"]
    assert run["ExposedPorts"] == {"3000/tcp": {}}
    assert run["Labels"] == {"maker": "somebody", "mine": "yes"}
    assert {"Cmd", "Healthcheck", "StopSignal"}.isdisjoint(run), "they belong to the base's own program"


def test_the_health_check_is_that_of_the_bento() -> None:
    image = assemble(base(), [], RUN._replace(health=("/ask", "3000")), epoch=0)
    check = json.loads(image.config)["config"]["Healthcheck"]
    assert check["Test"] == ["CMD", "/ask", "3000"]
    assert check["Interval"] == 10_000_000_000, "nanoseconds"


def test_layers_and_their_history_stand_upon_those_of_the_base() -> None:
    below = base()
    config = config_of(MINE)
    assert config["rootfs"]["diff_ids"] == [str(la.diff_id) for la in (*below.layers, MINE)]
    steps = [step for step in config["history"] if not step.get("empty_layer")]
    assert [step["created_by"] for step in steps] == ["COPY rootfs", "RUN", "bentoml: bento iris:1"]


def test_a_base_whose_history_does_not_fit_gets_one() -> None:
    config = config_of(MINE, config={"history": [{"created_by": "all at once"}]})
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == 3


def test_the_time_is_the_one_that_was_given() -> None:
    assert config_of(MINE)["created"] == "1970-01-01T00:00:00Z"
    config = config_of(MINE, epoch=86_400)
    assert config["created"] == config["history"][-1]["created"] == "1970-01-02T00:00:00Z"


def test_the_platform_is_that_of_the_base() -> None:
    config = config_of(platform=Platform("linux", "arm64", "v8"))
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm64", "v8")


def test_only_what_the_specification_has_is_taken_over() -> None:
    config = config_of(
        MINE, config={"container": "abc", "docker_version": "20", "config": {"Hostname": "here"}}
    )
    assert set(config) == {"architecture", "config", "created", "history", "os", "rootfs"}
    assert "Hostname" not in config["config"]


def test_too_many_layers_are_refused() -> None:
    assert assemble(base(extra=97), [MINE], RUN, epoch=0)
    with pytest.raises(BentoMLException, match="101 layers, 100 of them of its base"):
        assemble(base(extra=98), [MINE], RUN, epoch=0)


def test_the_environment_of_a_base() -> None:
    assert base_environment(base(env=("B=x=y",)))["B"] == "x=y"
    assert base_environment(base()._replace(config={})) == {}
