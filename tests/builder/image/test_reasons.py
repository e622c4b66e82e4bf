"""Why a layer was written is told by what the last image was."""

from __future__ import annotations

import pytest
from tests.builder.oci.images import small_layer

from bentoml.builder.image.reasons import Facts, reason
from bentoml.builder.oci.model import Layer, LayerKind


def layer(kind: LayerKind, about: str) -> Layer:
    return small_layer(about)._replace(kind=kind, about=about)


LAYERS = [
    layer("base", "a base"),
    layer("model", "model iris:1"),
    layer("model", "model org/bert@0123: weights"),
    layer("user", "user"),
    layer("system", "packages"),
    layer("python", "python: numpy"),
    layer("source", "bento x:1"),
]
IDS = tuple(str(layer.diff_id) for layer in LAYERS)
FACTS = Facts("base", "lock", "wheels", ("iris:1", "org/bert@0123"), IDS)


def without(number: int, **changes: object) -> Facts:
    """Return what was before, when the layer with this number was another one."""
    ids = (*IDS[:number], "sha256:other", *IDS[number + 1 :])
    return FACTS._replace(layers=ids, **changes)  # type: ignore[arg-type]  # fields of Facts


@pytest.mark.parametrize(
    ("number", "before", "expected"),
    [
        pytest.param(0, None, "first image", id="first"),
        pytest.param(0, without(0, base="other"), "the base changed", id="base"),
        pytest.param(1, without(1, models=("iris:0",)), "models changed", id="model"),
        pytest.param(1, without(1, models=("other:1",)), "model added", id="new model"),
        pytest.param(2, without(2, models=("org/bert@9",)), "models changed", id="hub model"),
        pytest.param(2, without(2, models=()), "model added", id="new hub model"),
        pytest.param(3, without(3, base="other"), "the base changed", id="user"),
        pytest.param(4, without(4), "system packages changed", id="system"),
        pytest.param(4, without(4, base="other"), "the base changed", id="system on another base"),
        pytest.param(5, without(5, requirements="other"), "requirements changed", id="requirements"),
        pytest.param(5, without(5, runtime="other"), "the runtime changed", id="runtime"),
        pytest.param(5, without(5, base="other"), "the base changed", id="another Python"),
        pytest.param(5, without(5), "was not compiled before", id="bytecode"),
        pytest.param(6, without(6), "the bento changed", id="source"),
        pytest.param(6, FACTS, "was not there", id="another place"),
    ],
)
def test_reasons(number: int, before: Facts | None, expected: str) -> None:
    assert reason(LAYERS, number, FACTS, before, chained=False) == expected


def test_engines_know_a_layer_by_all_that_lie_under_it() -> None:
    assert reason(LAYERS, 6, FACTS, without(1), chained=True) == "what lies under it changed"
    assert reason(LAYERS, 1, FACTS, without(6), chained=True) == "was not there"


def test_facts_are_remembered() -> None:
    assert Facts.from_json(FACTS.to_json() | {"models": list(FACTS.models), "layers": list(IDS)}) == FACTS
    for damaged in (None, {}, {"base": "x"}, {**FACTS.to_json(), "models": "x"}):
        assert Facts.from_json(damaged) is None
