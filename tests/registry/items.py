"""Items to push and pull: a store of its own for each test, with a model that has every kind of file."""

from __future__ import annotations

import os
from pathlib import Path

from tests.builder.oci.images import noise

from bentoml.config import Home
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import Model, ModelStore
from bentoml.tag import Tag


def save_model(home: Home, name: str = "iris", *, weights: bytes = noise(300_000), small: int = 3) -> Model:
    """Save a model with a large file, empty and equal ones, a link, an executable, and some small ones."""
    with ModelStore(home).create(name, labels={"team": "a"}, metadata={"accuracy": 0.9}) as model:
        root = Path(model.path)
        (root / "weights.bin").write_bytes(weights)
        (root / "empty").touch()
        (root / "sub").mkdir()
        (root / "sub" / "run.sh").write_text("#!/bin/sh\n")
        (root / "sub" / "run.sh").chmod(0o755)
        (root / "same.sh").write_text("#!/bin/sh\n")
        os.symlink("sub/run.sh", root / "link")
        for number in range(small):
            (root / "sub" / f"ümläut {number}.txt").write_text(f"{name} {number}\n")
    return model


def save_bento(home: Home, *models: Model, name: str = "app", text: str = "x = 1\n") -> Bento:
    """Save a bento that needs models."""
    with BentoStore(home).create(name) as draft:
        (draft.path / "src").mkdir()
        (draft.path / "src" / "service.py").write_text(text)
        draft.info = BentoInfo(
            tag=Tag(name),
            service="service:App",
            models=tuple(ModelRef.of(model.info) for model in models),
        )
    return draft.saved
