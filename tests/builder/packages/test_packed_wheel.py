from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.packages.lock_platform import LockPlatform
from bentoml.builder.packages.packed_wheel import PackedWheel, fitting
from bentoml.exceptions import BentoMLException


def wheel(tag: str) -> PackedWheel:
    return PackedWheel(Path(f"demo-1.0-{tag}.whl"), "x")


@pytest.mark.parametrize(
    ("tag", "platform", "fits"),
    [
        ("py3-none-any", "linux", True),
        ("py2.py3-none-any", "linux", True),
        ("py2-none-any", "linux", False),
        ("py310-none-any", "linux", True),
        ("py312-none-any", "linux", False),
        ("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "linux", True),
        ("cp311-cp311-manylinux2014_x86_64", "x86_64-manylinux_2_17", True),
        ("cp311-cp311-manylinux1_x86_64", "x86_64-manylinux2014", True),
        ("cp311-cp311-manylinux_2_28_x86_64", "x86_64-manylinux2014", False),
        ("cp311-cp311-manylinux_2_40_x86_64", "linux", False),
        ("cp311-cp311-manylinux_2_40_x86_64", "x86_64-unknown-linux-gnu", True),
        ("cp311-cp311-linux_x86_64", "linux", True),
        ("cp311-cp311-linux_x86_64", "linux/arm64", False),
        ("cp311-cp311-manylinux_2_28_aarch64", "linux/arm64", True),
        ("cp311-cp311-musllinux_1_2_x86_64", "linux", False),
        ("cp311-cp311-musllinux_1_2_x86_64", "x86_64-unknown-linux-musl", True),
        ("cp311-cp311-manylinux_2_17_x86_64", "x86_64-unknown-linux-musl", False),
        ("cp312-cp312-manylinux_2_17_x86_64", "linux", False),
        ("cp38-abi3-manylinux_2_17_x86_64", "linux", True),
        ("cp38-cp38-manylinux_2_17_x86_64", "linux", False),
        ("cp312-abi3-manylinux_2_17_x86_64", "linux", False),
        ("cp311-none-win_amd64", "linux", False),
        ("cp311-cp311-macosx_11_0_arm64", "linux/arm64", False),
    ],
)
def test_a_wheel_fits_a_machine_or_not(tag: str, platform: str, fits: bool) -> None:
    one = wheel(tag)
    if fits:
        assert fitting([one], LockPlatform.parse(platform), "3.11") == (one,)
        return
    with pytest.raises(BentoMLException, match=r"`demo-1\.0-.*` cannot be installed by Python 3\.11"):
        fitting([one], LockPlatform.parse(platform), "3.11")


def test_of_the_wheels_of_a_package_those_that_fit_are_taken() -> None:
    intel, arm = wheel("cp311-cp311-linux_x86_64"), wheel("cp311-cp311-linux_aarch64")
    assert fitting([intel, arm], LockPlatform.parse("linux/arm64"), "3.11") == (arm,)
