"""The model of w9: a scikit-learn network of two layers, fitted to the same made-up numbers by every side."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np


@cache
def _model() -> Any:
    from sklearn.neural_network import MLPClassifier

    numbers = np.random.default_rng(1)
    rows = numbers.random((400, 64))
    return MLPClassifier((64, 32), max_iter=200, random_state=1).fit(rows, (rows[:, 0] * 3).astype(int))


def predict(rows: Any) -> np.ndarray:
    """Return the class of each row; the model is made when it is first asked for."""
    return _model().predict(np.asarray(rows, dtype=np.float64))
