"""The public names: listed once, sorted, all real, all documented."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

import pytest

import bentoml

REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "python.md"


def test_list_is_sorted_and_complete() -> None:
    assert bentoml.__all__ == sorted(bentoml.__all__)
    assert set(bentoml.__all__) == set(bentoml._PUBLIC) | {"__version__"}


@pytest.mark.parametrize("name", bentoml.__all__)
def test_each_name_exists_and_is_documented(name: str) -> None:
    value = getattr(bentoml, name)
    assert f"`bentoml.{name}`" in REFERENCE.read_text(), f"{name} has no entry in docs/reference/python.md"
    if isinstance(value, ModuleType) or inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


def test_reference_names_nothing_that_does_not_exist() -> None:
    import re

    named = re.findall(r"^### `bentoml\.(\w+)`", REFERENCE.read_text(), flags=re.M)
    assert sorted(named) == sorted(set(bentoml.__all__))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("BentoCloudClient", "a cloud, which there is not here"),
        ("runner_service", "`bentoml.depends`"),
        ("sklearn", "`bentoml.models.create`"),
        ("containerize", "`bentoml.container.build`"),
    ],
)
def test_a_name_that_bentoml_has_says_what_to_use(name: str, hint: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(bentoml, name)
    assert str(caught.value).startswith(f"module 'bentoml' has no attribute '{name}': ")
    assert hint in str(caught.value)


def test_no_name_is_both_there_and_elsewhere() -> None:
    assert not set(bentoml._ELSEWHERE) & {*bentoml.__all__, *dir(bentoml)}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        bentoml.no_such_name  # noqa: B018
