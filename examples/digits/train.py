"""Train a small model on handwritten digits and put it into the model store."""

from __future__ import annotations

from pathlib import Path

import joblib
from data import split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import bentoml


def main() -> None:
    images, _, labels, _ = split()
    model = make_pipeline(StandardScaler(), SVC(gamma="scale", C=10)).fit(images, labels)
    with bentoml.models.create(
        "digits", labels={"task": "classification"}, metadata={"images": len(images)}
    ) as ref:
        joblib.dump(model, Path(ref.path) / "model.joblib")
    print(f"trained on {len(images)} images, saved as {ref.tag}")


if __name__ == "__main__":
    main()
