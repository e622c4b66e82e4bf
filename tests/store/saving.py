"""How the tests of the store save a model: the type of the fixture `save`."""

from __future__ import annotations

from collections.abc import Callable

from bentoml.store.models import Model

Save = Callable[..., Model]  # save(name, {path: text}, **keywords of `create`)
