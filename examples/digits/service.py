"""Recognise handwritten digits."""

from __future__ import annotations

from typing import Annotated

import joblib
import numpy as np

import bentoml
from bentoml.validators import DType, Shape


@bentoml.service(resources={"cpu": "1"}, traffic={"timeout": 10})
class Digits:
    """Recognise handwritten digits in grey images of 8 x 8 pixels."""

    model_ref = bentoml.models.get("digits:latest")

    def __init__(self) -> None:
        self.model = joblib.load(self.model_ref.path_of("model.joblib"))

    @bentoml.api
    def predict(self, images: Annotated[np.ndarray, Shape((-1, 64)), DType("float64")]) -> np.ndarray:
        """Return the digit on each image; an image is 64 numbers from 0 (white) to 16 (black), row by row.

        What is missing (`null`) is white.
        """
        if not len(images):
            return np.zeros(0, dtype=int)
        return self.model.predict(np.clip(np.nan_to_num(images), 0, 16))
