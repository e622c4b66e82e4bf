"""The services that the document calls, in one: each API as the document declares it."""

import asyncio
import typing as t
from pathlib import Path

import numpy as np
from PIL.Image import Image as PIL_Image
from pydantic import BaseModel

import bentoml


class Params(BaseModel):
    prompt: str
    negative_prompt: t.Optional[str]
    controlnet_conditioning_scale: float = 0.5
    num_inference_steps: int = 25


SAMPLE_SENTENCES = ["The sun dips below the horizon, painting the sky orange."]


@bentoml.service
class Everything:
    @bentoml.api
    def summarize(self, text: str) -> str:
        return text.split()[0]

    @bentoml.api
    def encode(self, sentences: t.List[str] = SAMPLE_SENTENCES) -> np.ndarray:
        return np.array([[len(sentence), 0.5] for sentence in sentences])

    @bentoml.api
    def transcribe(self, audio_file: Path) -> t.Dict:
        return {"segments": [{"start": 0.009, "text": audio_file.read_text()}]}

    @bentoml.api
    async def generate(self, image: PIL_Image, params: Params) -> PIL_Image:
        assert params.prompt and params.num_inference_steps == 25
        return image.rotate(90, expand=True)

    @bentoml.api
    async def stream_data(self) -> t.AsyncGenerator[str, None]:
        for word in ("one ", "two "):
            yield word
            await asyncio.sleep(0.05)
