from pathlib import Path

import bentoml

print("a module may print while it is imported")


@bentoml.service(envs=[{"name": "LOG_FORMAT", "value": "text"}])
class Preprocess:
    @bentoml.api
    def scale(self, values: list[float]) -> list[float]:
        return [v / 10 for v in values]


@bentoml.service(name="Flowers", labels={"kind": "iris"}, traffic={"timeout": 5})
class Classify:
    model = bentoml.models.get("iris:latest")
    preprocess = bentoml.depends(Preprocess)

    @bentoml.api
    def classify(self, values: list[float]) -> str:
        return (
            Path(self.model.path_of("names.txt")).read_text().split()[len(self.preprocess.scale(values)) % 3]
        )
