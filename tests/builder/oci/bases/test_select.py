"""Which place a reference means."""

from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.model import Platform
from bentoml.exceptions import InvalidArgument, NotFound


@pytest.mark.parametrize("reference", ["docker://", "docker:", "oci:", "oci-archive:", "docker-archive:", ""])
def test_a_reference_without_a_name_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(InvalidArgument, match=r"does not say which image|not an image reference"):
        open_base(reference, platform=Platform(), cache=tmp_path, env={})


def test_the_layout_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not an OCI layout"):
        open_base(f"oci:{tmp_path}/none:1", platform=Platform(), cache=tmp_path, env={})
