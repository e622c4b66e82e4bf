"""The digits that ship with scikit-learn, split into what the model learns from and what is held back."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training images, held-back images (n, 64), and the labels of both (n,); always the same split."""
    images, labels = load_digits(return_X_y=True)
    learn, held_back, learn_labels, held_back_labels = train_test_split(
        images, labels, test_size=0.25, random_state=0, stratify=labels
    )
    return learn, held_back, learn_labels, held_back_labels
