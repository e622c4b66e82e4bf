"""Which place a reference means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.builder.oci.images import small_image

from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.layout import blob_path, open_layout, write_layout
from bentoml.builder.oci.model import Platform
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound


@pytest.mark.parametrize("reference", ["docker://", "docker:", "oci:", "oci-archive:", "docker-archive:", ""])
def test_a_reference_without_a_name_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(InvalidArgument, match=r"does not say which image|not an image reference"):
        open_base(reference, platform=Platform(), cache=tmp_path, env={})


@pytest.mark.parametrize(
    "text",
    ["a\0b", "a\nb", "a\x1b[2J", "a\u2028b", "a\ud800", "x" * 1_000_000],
    ids=lambda text: ascii(text[:9]),
)
@pytest.mark.parametrize(
    "place", ["", "oci:", "oci-archive:", "docker-archive:", "rootfs:", "debs:", "docker://"]
)
def test_a_reference_that_is_no_line_of_text_is_refused(tmp_path: Path, place: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match="is too long, or more than a line") as caught:
        open_base(f"{place}{text}", platform=Platform(), cache=tmp_path, env={})
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


@pytest.mark.parametrize("of", ["layer", "configuration"])
def test_a_pipe_in_a_layout_is_not_waited_for(tmp_path: Path, of: str) -> None:
    image = small_image()
    write_layout(tmp_path, image, ["app:1"])
    descriptor = image.layers[0].descriptor if of == "layer" else image.config_descriptor
    (tmp_path / blob_path(descriptor.digest)).unlink()
    os.mkfifo(tmp_path / blob_path(descriptor.digest))
    with pytest.raises(BentoMLException, match="lacks the blob"):
        open_layout(tmp_path, None, platform=Platform())


def test_the_layout_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not an OCI layout"):
        open_base(f"oci:{tmp_path}/none:1", platform=Platform(), cache=tmp_path, env={})
