from __future__ import annotations

import pytest

from bentoml.builder.build_file.config import parse_config
from bentoml.builder.docker.cuda import CUDA_VERSIONS, cuda_image, libc_of
from bentoml.exceptions import BentoMLConfigException


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        ("default", "12.8.1"), (12, "12.8.1"), ("12.8", "12.8.1"), ("12.8.0", "12.8.0"), ("12.6", "12.6.3"), (12.1, "12.1.1"),
        ("12.0", "12.0.1"), (11, "11.8.0"), (11.8, "11.8.0"), ("11.7", "11.7.1"), ("11.6", "11.6.2"), ("11.4", "11.4.3"),
        ("11.2", "11.2.2"),
    ],
)  # fmt: skip
def test_each_spelling_means_one_version(written: object, exact: str) -> None:
    assert parse_config({"docker": {"cuda_version": written}}, source="x").docker.cuda_version == exact


@pytest.mark.parametrize("written", ["10", "12.4", "latest", "12.8.1; rm", True, ["12"]], ids=str)
def test_other_versions_are_refused(written: object) -> None:
    with pytest.raises(BentoMLConfigException, match=r"`docker\.cuda_version`"):
        parse_config({"docker": {"cuda_version": written}}, source="x")


@pytest.mark.parametrize("distro", ["alpine", "amazonlinux"])
def test_distributions_without_cuda_are_told(distro: str) -> None:
    with pytest.raises(BentoMLConfigException, match=f"has no image for `{distro}`"):
        parse_config({"docker": {"cuda_version": "12", "distro": distro}}, source="x")


def test_a_base_image_goes_before_it(caplog: pytest.LogCaptureFixture) -> None:
    docker = parse_config({"docker": {"cuda_version": "12", "base_image": "mine:1"}}, source="x").docker
    assert (docker.base_image, docker.cuda_version) == ("mine:1", "")
    assert "cuda_version is not used" in caplog.text


def test_the_images() -> None:
    assert cuda_image("debian", "12.8.1") == "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04"
    assert cuda_image("debian", "12.1.1") == "nvidia/cuda:12.1.1-cudnn8-runtime-ubuntu22.04"
    assert cuda_image("ubi8", "11.8.0") == "nvidia/cuda:11.8.0-cudnn8-runtime-ubi8"
    assert {libc_of(version) for version in CUDA_VERSIONS.values()} == {"manylinux_2_39", "manylinux_2_35"}
