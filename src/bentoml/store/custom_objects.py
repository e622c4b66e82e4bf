"""The Python objects that a user stores with a model: the one place where pickles are written and read.

A pickle can run any code when it is read. The objects are read only when `Model.custom_objects` is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["FILE", "dump", "load"]

FILE = "custom_objects.pkl"


def dump(objects: Mapping[str, Any], folder: Path, *, external_modules: Sequence[ModuleType] = ()) -> None:
    """Write objects into a model's folder; the code of ``external_modules`` is stored with them, not referred to."""
    import cloudpickle

    with _by_value(external_modules), (folder / FILE).open("wb") as file:
        cloudpickle.dump(dict(objects), file)


def load(folder: Path) -> dict[str, Any]:
    """Read the objects of a model; none if it has none."""
    import cloudpickle

    try:
        with (folder / FILE).open("rb") as file:
            objects: dict[str, Any] = cloudpickle.load(file)
    except FileNotFoundError:
        return {}
    return objects


@contextmanager
def _by_value(modules: Sequence[ModuleType]) -> Iterator[None]:
    import cloudpickle

    registered = [m for m in modules if m.__name__ not in cloudpickle.list_registry_pickle_by_value()]
    for module in registered:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)
