"""What is said of libraries that packages need: nothing, where a base or a step brings them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.builder.handmade import base, layer

from bentoml.builder.image.missing import tell_missing
from bentoml.builder.oci.bases.rootfs import read_rootfs
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.model import Base, Layer
from bentoml.store.archives.tar import TarEntry

NEEDS = {"libGL.so.1": ["opencv"], "libc.so.6": ["opencv", "numpy"]}
GL = layer([TarEntry.file("usr/lib/x86_64-linux-gnu/libGL.so.1", b"")])
OTHER = layer([TarEntry.file("etc/word", b"x")])


@pytest.mark.parametrize(
    ("below", "after", "is_missing"),
    [
        pytest.param(base(), (), True, id="nobody brings it"),
        pytest.param(base(), (OTHER,), True, id="a step brings something else"),
        pytest.param(base(), (OTHER, GL), False, id="a step brings it"),
        pytest.param(base()._replace(layers=(*base().layers, GL)), (), False, id="the base has it"),
    ],
)
def test_what_nobody_brings_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, below: Base, after: tuple[Layer, ...], is_missing: bool
) -> None:
    cache = Cache(tmp_path)
    tell_missing(NEEDS, read_rootfs(below, cache), below, after, cache)
    said = "`opencv` may not work: the base image `python:test` has no `libGL.so.1`"
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [said] * is_missing
