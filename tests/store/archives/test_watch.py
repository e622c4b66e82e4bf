"""Whoever watches sees about as many bytes as are expected, whatever the format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import pytest

from bentoml.config import Home
from bentoml.store.archives.exporting import export
from bentoml.store.archives.formats import Format
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.models import Model, ModelStore


class Watcher:
    """Count."""

    def __init__(self) -> None:
        self.expected = self.done = 0

    def expect(self, count: int) -> None:
        self.expected += count

    def add(self, count: int) -> None:
        self.done += count

    def agrees(self) -> bool:
        return 0.99 < self.done / self.expected < 1.01


@pytest.mark.parametrize("format", get_args(Format))
def test_what_is_expected_comes(models: ModelStore, tmp_path: Path, format: str) -> None:
    with models.create("iris") as model:
        Path(model.path_of("a")).write_bytes(os.urandom(3 << 20))
        Path(model.path_of("b")).write_bytes(os.urandom(1 << 20))
    out, back = Watcher(), Watcher()
    path = export(model, open_place(tmp_path / "x"), format, watch=out)
    assert out.agrees()
    import_item(Model, open_place(path), home=Home(tmp_path / "here"), watch=back)
    assert format == "folder" or back.agrees()
