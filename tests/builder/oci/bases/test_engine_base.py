"""An image of the local engine as a base: pinned by its id, whatever takes its name later."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.builder.oci.images import small_image

from bentoml.builder.backends.select import open_sink
from bentoml.builder.daemon.sdk import connected
from bentoml.builder.oci.bases.pins import BaseDigests
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.model import Platform
from bentoml.exceptions import NotFound

pytestmark = pytest.mark.engine

NAME = "bentoml-test/base:1"


def test_a_pin_holds_though_the_name_moves(tmp_path: Path) -> None:
    first, second = small_image("first"), small_image("second")
    digests = BaseDigests(tmp_path / "cache", os.environ)
    open_sink("type=docker", env=os.environ).write(first, [NAME])
    try:
        pin = digests.find(f"docker://{NAME}", Platform())
        open_sink("type=docker", env=os.environ).write(second, [NAME])
        for cache in ("cache", "other"):
            base = open_base(
                f"docker://{NAME}@{pin}", platform=Platform(), cache=tmp_path / cache, env=os.environ
            )
            assert [layer.diff_id for layer in base.layers] == [layer.diff_id for layer in first.layers]
        assert digests.find(f"docker://{NAME}", Platform()) != pin
    finally:
        with connected(os.environ) as client:
            client.images.remove(NAME)
            client.images.remove(str(pin))
    known = open_base(
        f"docker://{NAME}@{pin}", platform=Platform(), cache=tmp_path / "cache", env={}, offline=True
    )
    assert known.config == base.config, "what was exported once needs no engine"
    with pytest.raises(NotFound, match=rf"no image `{NAME}@sha256:.*--base-image docker://{NAME}"):
        open_base(f"docker://{NAME}@{pin}", platform=Platform(), cache=tmp_path / "third", env=os.environ)
