import bentoml
import numpy as np


@bentoml.service
class Preprocessing:
    @bentoml.api
    def preprocess(self, input_series: np.ndarray) -> np.ndarray:
        return input_series * 2


@bentoml.service(name="iris_classifier", resources={"cpu": "200m", "memory": "512Mi"})
class IrisClassifier:
    iris_model = bentoml.models.get("iris_sklearn:latest")
    preprocessing = bentoml.depends(Preprocessing)

    def __init__(self):
        import joblib

        self.model = joblib.load(self.iris_model.path_of("model.pkl"))

    @bentoml.api
    def classify(self, input_series: np.ndarray) -> np.ndarray:
        return self.model.predict(input_series)

    @bentoml.api  # the document shows the dependency, and does not use it
    def classify_preprocessed(self, input_series: np.ndarray) -> np.ndarray:
        return self.model.predict(self.preprocessing.preprocess(input_series))
