"""Stand-ins for the names of `transformers` that the documents use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download


def pipeline(task: str = "", model: Any = None, tokenizer: Any = None, **options: Any) -> Any:
    def summarization(text: str) -> list[dict[str, str]]:
        return [{"summary_text": text.split(".")[0] + "."}]

    def generation(text: str) -> list[dict[str, str]]:
        return [{"generated_text": f"{text} ({model})"}]

    def classification(text: str) -> list[dict[str, Any]]:
        return [{"label": "POSITIVE", "score": len(text) / 100}]

    return {
        "summarization": summarization,
        "text-generation": generation,
        "text-classification": classification,
    }[task]


class _Pretrained:
    names: tuple[str, ...] = ()
    files: Mapping[str, bytes]

    @classmethod
    def from_pretrained(cls, name: str, **options: Any) -> _Pretrained:
        """Download what is on the hub of the test, if there is one."""
        pretrained = cls()
        pretrained.files = {}
        if "HF_ENDPOINT" in os.environ:
            folder = Path(snapshot_download(name, allow_patterns=cls.names))
            pretrained.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        return pretrained

    def save_pretrained(self, folder: str) -> None:
        for name, content in (self.files or {f"{type(self).__name__}.json": b"{}"}).items():
            (Path(folder) / name).write_bytes(content)


class AutoModelForCausalLM(_Pretrained):
    names = ("config.json", "*.safetensors")


class AutoTokenizer(_Pretrained):
    names = ("tokenizer*",)
