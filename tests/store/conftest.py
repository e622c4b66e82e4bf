"""What the tests of the store share: a home of their own, and a quick way to save a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.store.saving import Save

from bentoml.config import Home
from bentoml.store.models import Model, ModelStore


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def models(home: Home) -> ModelStore:
    return ModelStore(home)


@pytest.fixture
def save(models: ModelStore) -> Save:
    """Save a model whose files are given as a dict; keywords go to `create`."""

    def save(name: str, files: dict[str, str], **declaration: Any) -> Model:
        with models.create(name, **declaration) as model:
            for path, text in files.items():
                file = Path(model.path, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        return model

    return save
