"""The documents' examples of composed models, as written there, run in one process with stand-ins for the libraries."""

from __future__ import annotations

import asyncio
import sys
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from bentoml.exceptions import MissingDependencyException
from bentoml.models import HuggingFaceModel

ONE_SERVICE = """
    import bentoml
    from bentoml.models import HuggingFaceModel
    from transformers import pipeline
    from typing import List

    # Run two models in the same Service on the same hardware device
    @bentoml.service(
        resources={"gpu": 1, "memory": "4GiB"},
        traffic={"timeout": 20},
    )
    class MultiModelService:
        # Retrieve model references from HF by specifying its HF ID
        model_a_path = HuggingFaceModel("FacebookAI/roberta-large-mnli")
        model_b_path = HuggingFaceModel("distilbert/distilbert-base-uncased")

        def __init__(self) -> None:
            # Initialize pipelines for each model
            self.pipeline_a = pipeline(task="zero-shot-classification", model=self.model_a_path, hypothesis_template="This text is about {}")
            self.pipeline_b = pipeline(task="sentiment-analysis", model=self.model_b_path)

        # Define an API for data processing with model A
        @bentoml.api
        def process_a(self, input_data: str, labels: List[str] = ["positive", "negative", "neutral"]) -> dict:
            return self.pipeline_a(input_data, labels)

        # Define an API for data processing with model B
        @bentoml.api
        def process_b(self, input_data: str) -> dict:
            return self.pipeline_b(input_data)[0]

        # Define an API endpoint that combines the processing of both models
        @bentoml.api
        def combined_process(self, input_data: str, labels: List[str] = ["positive", "negative", "neutral"]) -> dict:
            classification = self.pipeline_a(input_data, labels)
            sentiment = self.pipeline_b(input_data)[0]
            return {
                "classification": classification,
                "sentiment": sentiment
            }
"""

SEQUENTIAL = """
    import bentoml
    from bentoml.models import HuggingFaceModel
    from transformers import pipeline
    from typing import Dict, Any


    @bentoml.service(resources={"cpu": "2", "memory": "2Gi"})
    class PreprocessingService:
        model_a_path = HuggingFaceModel("distilbert/distilbert-base-uncased")

        def __init__(self) -> None:
            # Initialize pipeline for model A
            self.pipeline_a = pipeline(task="text-classification", model=self.model_a_path)

        @bentoml.api
        def preprocess(self, input_data: str) -> Dict[str, Any]:
            # Dummy preprocessing steps
            return self.pipeline_a(input_data)[0]


    @bentoml.service(resources={"gpu": 1, "memory": "4Gi"})
    class InferenceService:
        model_b_path = HuggingFaceModel("distilbert/distilroberta-base")
        preprocessing_service = bentoml.depends(PreprocessingService)

        def __init__(self) -> None:
            # Initialize pipeline for model B
            self.pipeline_b = pipeline(task="text-classification", model=self.model_b_path)

        @bentoml.api
        async def predict(self, input_data: str) -> Dict[str, Any]:
            # Dummy inference on preprocessed data
            # Implement your custom logic here
            preprocessed_data = await self.preprocessing_service.to_async.preprocess(input_data)
            final_result = self.pipeline_b(input_data)[0]
            return {
                "preprocessing_result": preprocessed_data,
                "final_result": final_result
            }
"""

CONCURRENT = """
    import asyncio
    import bentoml
    from bentoml.models import HuggingFaceModel
    from transformers import pipeline
    from typing import Dict, Any, List

    @bentoml.service(resources={"gpu": 1, "memory": "4Gi"})
    class ModelAService:
        model_a_path = HuggingFaceModel("FacebookAI/roberta-large-mnli")

        def __init__(self) -> None:
            # Initialize pipeline for model A
            self.pipeline_a = pipeline(task="zero-shot-classification", model=self.model_a_path, hypothesis_template="This text is about {}")

        @bentoml.api
        def predict(self, input_data: str, labels: List[str] = ["positive", "negative", "neutral"]) -> Dict[str, Any]:
            # Dummy preprocessing steps
            return self.pipeline_a(input_data, labels)

    @bentoml.service(resources={"gpu": 1, "memory": "4Gi"})
    class ModelBService:
        model_b_path = HuggingFaceModel("distilbert/distilbert-base-uncased")

        def __init__(self) -> None:
            # Initialize pipeline for model B
            self.pipeline_b = pipeline(task="sentiment-analysis", model=self.model_b_path)

        @bentoml.api
        def predict(self, input_data: str) -> Dict[str, Any]:
            # Dummy preprocessing steps
            return self.pipeline_b(input_data)[0]

    @bentoml.service(resources={"cpu": "4", "memory": "8Gi"})
    class EnsembleService:
        service_a = bentoml.depends(ModelAService)
        service_b = bentoml.depends(ModelBService)

        @bentoml.api
        async def ensemble_predict(self, input_data: str, labels: List[str] = ["positive", "negative", "neutral"]) -> Dict[str, Any]:
            result_a, result_b = await asyncio.gather(
                self.service_a.to_async.predict(input_data, labels),
                self.service_b.to_async.predict(input_data)
            )
            # Dummy aggregation
            return {
                "zero_shot_classification": result_a,
                "sentiment_analysis": result_b
            }
"""

INFERENCE_GRAPH = """
    import asyncio
    import typing as t

    import transformers

    import bentoml

    MAX_LENGTH = 128
    NUM_RETURN_SEQUENCE = 1

    @bentoml.service(
        resources={"gpu": 1, "memory": "4Gi"}
    )
    class GPT2:
        def __init__(self):
            self.generation_pipeline_1 = transformers.pipeline(
                task="text-generation",
                model="gpt2",
            )

        @bentoml.api
        def generate(self, sentence: str) -> t.List[t.Any]:
            return self.generation_pipeline_1(sentence)

    @bentoml.service(
        resources={"gpu": 1, "memory": "4Gi"}
    )
    class DistilGPT2:
        def __init__(self):
            self.generation_pipeline_2 = transformers.pipeline(
                task="text-generation",
                model="distilgpt2",
            )

        @bentoml.api
        def generate(self, sentence: str) -> t.List[t.Any]:
            return self.generation_pipeline_2(sentence)

    @bentoml.service(
        resources={"cpu": "2", "memory": "2Gi"}
    )
    class BertBaseUncased:
        def __init__(self):
            self.classification_pipeline = transformers.pipeline(
                task="text-classification",
                model="bert-base-uncased",
                tokenizer="bert-base-uncased",
            )

        @bentoml.api
        def classify_generated_texts(self, sentence: str) -> float | str:
            score = self.classification_pipeline(sentence)[0]["score"]  # type: ignore
            return score

    @bentoml.service(
        resources={"cpu": "4", "memory": "8Gi"}
    )
    class InferenceGraph:
        gpt2_generator = bentoml.depends(GPT2)
        distilgpt2_generator = bentoml.depends(DistilGPT2)
        bert_classifier = bentoml.depends(BertBaseUncased)

        @bentoml.api
        async def generate_score(
            self, original_sentence: str = "I have an idea!"
        ) -> t.List[t.Dict[str, t.Any]]:
            generated_sentences = [  # type: ignore
                result[0]["generated_text"]
                for result in await asyncio.gather(  # type: ignore
                    self.gpt2_generator.to_async.generate(  # type: ignore
                        original_sentence,
                        max_length=MAX_LENGTH,
                        num_return_sequences=NUM_RETURN_SEQUENCE,
                    ),
                    self.distilgpt2_generator.to_async.generate(  # type: ignore
                        original_sentence,
                        max_length=MAX_LENGTH,
                        num_return_sequences=NUM_RETURN_SEQUENCE,
                    ),
                )
            ]

            results = []
            for sentence in generated_sentences:  # type: ignore
                score = await self.bert_classifier.to_async.classify_generated_texts(
                    sentence
                )  # type: ignore
                results.append(
                    {
                        "generated": sentence,
                        "score": score,
                    }
                )

            return results
"""


# The facade does not have this name yet.
def pipeline(task: str, model: str, tokenizer: str = "", hypothesis_template: str = "") -> Any:
    """Stand for `transformers.pipeline`; what it gives takes exactly what the real ones take here."""

    def zero_shot(text: str, labels: list[str]) -> dict[str, Any]:
        return {"sequence": text, "labels": labels, "model": model}

    def generate(text: str) -> list[dict[str, Any]]:
        return [{"generated_text": f"{text} ({model})"}]

    def classify(text: str) -> list[dict[str, Any]]:
        return [{"label": "POSITIVE", "score": len(text) / 100, "model": model}]

    return {
        "zero-shot-classification": zero_shot,
        "text-generation": generate,
        "text-classification": classify,
        "sentiment-analysis": classify,
    }[task]


@pytest.fixture(autouse=True)
def _libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers, hub = ModuleType("transformers"), ModuleType("huggingface_hub")
    vars(transformers)["pipeline"] = pipeline
    vars(hub)["snapshot_download"] = lambda model_id, **options: f"/cache/{model_id}@{options['revision']}"
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)


def service(text: str, name: str) -> Any:
    """Run a document's code and return an instance of one of its services."""
    names: dict[str, Any] = {"__name__": "document"}
    exec(dedent(text), names)
    return names[name]()


def test_two_models_in_one_service() -> None:
    both = service(ONE_SERVICE, "MultiModelService")
    assert both.process_a("x")["labels"] == ["positive", "negative", "neutral"]
    assert both.process_b("x")["model"] == "/cache/distilbert/distilbert-base-uncased@main"
    combined = both.combined_process("x", labels=["a"])
    assert combined["classification"]["model"] == "/cache/FacebookAI/roberta-large-mnli@main"
    assert combined["sentiment"]["label"] == "POSITIVE"


def test_one_after_the_other() -> None:
    result = asyncio.run(service(SEQUENTIAL, "InferenceService").predict("text"))
    assert result["preprocessing_result"]["model"] == "/cache/distilbert/distilbert-base-uncased@main"
    assert result["final_result"]["model"] == "/cache/distilbert/distilroberta-base@main"


def test_at_the_same_time() -> None:
    result = asyncio.run(service(CONCURRENT, "EnsembleService").ensemble_predict("text", ["a"]))
    assert result["zero_shot_classification"]["labels"] == ["a"]
    assert result["sentiment_analysis"]["score"] == 0.04


def test_a_graph() -> None:
    assert asyncio.run(service(INFERENCE_GRAPH, "InferenceGraph").generate_score()) == [
        {"generated": "I have an idea! (gpt2)", "score": 0.22},
        {"generated": "I have an idea! (distilgpt2)", "score": 0.28},
    ]


def test_a_model_reference_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    model = HuggingFaceModel("org/name", revision="v1", include=["*.json"])
    assert repr(model) == "HuggingFaceModel('org/name', revision='v1')"
    with pytest.raises(MissingDependencyException, match="install `huggingface_hub`"):
        model.resolve()
