"""GPUs: who gets which, and when nobody is given any."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import bentoml
from bentoml.exceptions import BentoMLConfigException
from bentoml.runtime.process.gpus import assigned, count_gpus, gpu_variables


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        pytest.param([1], [0], id="one"),
        pytest.param([2, 1], [0, 1, 2], id="one after the other"),
        pytest.param([0.5, 0.5], [0], id="two halves"),
        pytest.param([0.5, 1, 0.5], [0, 1], id="halves around a whole"),
        pytest.param([0.6, 0.6], [0, 1], id="two that do not fit on one"),
        pytest.param([0.1] * 10, [0], id="ten tenths"),
    ],
)
def test_assigned(wanted: list[float], numbers: list[int]) -> None:
    assert assigned({f"s{i}": gpu for i, gpu in enumerate(wanted)}, 8) == numbers


def test_too_few() -> None:
    with pytest.raises(
        BentoMLConfigException, match=r"need 3 GPUs \(2 for `a`, 0.5 for `b`\), and this machine has 1"
    ):
        assigned({"a": 2, "b": 0.5}, 1)


def service(gpu: Any, **config: Any) -> Any:
    @bentoml.service(resources={"gpu": 1})
    class Below:
        pass

    @bentoml.service(resources={"gpu": gpu}, **config)
    class Above:
        below = bentoml.depends(Below)

    return Above


def test_a_service_and_what_it_depends_on() -> None:
    assert gpu_variables(service("1"), {}, lambda: 2) == {"CUDA_VISIBLE_DEVICES": "0,1"}


@pytest.mark.parametrize(
    "env",
    [{"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": ""}, {"BENTOML_DISABLE_GPU_ALLOCATION": "1"}],
)
def test_somebody_else_has_decided(env: dict[str, str]) -> None:
    assert gpu_variables(service(1), env, lambda: 8) == {}


def test_no_allocation_with_a_worker_for_each_core() -> None:
    assert gpu_variables(service(1, workers="cpu_count"), {}, lambda: 8) == {}


def test_a_machine_without_gpus(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="bentoml"):
        assert gpu_variables(service(1), {}, lambda: 0) == {}
    assert "`Above`, `Below` asks for GPUs, and this machine has none" in caplog.text


def test_nobody_asks() -> None:
    class Plain:
        pass

    def never() -> int:
        raise AssertionError

    assert gpu_variables(bentoml.service(Plain), {}, never) == {}


def test_count(tmp_path: Path) -> None:
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert count_gpus(tmp_path) == 2
