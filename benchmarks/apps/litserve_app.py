"""What of `service.py` LitServe has a form for, as its documentation has it: `python litserve_app.py PORT`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import litserve
import mlp
import numpy as np


class Sum(litserve.LitAPI):
    def setup(self, device: str) -> None:
        """Have nothing to set up."""

    def predict(self, x: dict[str, int]) -> dict[str, int]:
        return {"sum": x["a"] + x["b"]}


class Double(litserve.LitAPI):
    def setup(self, device: str) -> None:
        """Have nothing to set up."""

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # a type would become a query parameter
        return np.array(request["a"], dtype=np.float64)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x * 2

    def encode_response(self, output: np.ndarray) -> list[list[float]]:
        rows: list[list[float]] = output.tolist()
        return rows


class Chunks(litserve.LitAPI):
    def setup(self, device: str) -> None:
        """Have nothing to set up."""

    def predict(self, x: Any) -> Iterator[str]:
        for i in range(100):
            yield f"chunk {i:03d}\n"

    def encode_response(self, output: Iterator[str]) -> Iterator[str]:
        yield from output


class Classify(litserve.LitAPI):
    def setup(self, device: str) -> None:
        """Have nothing to set up: the model is made when it is first asked for, as on each side."""

    def predict(self, x: dict[str, Any]) -> list[int]:
        labels: list[int] = mlp.predict(x["x"]).tolist()
        return labels


if __name__ == "__main__":
    apis = [
        Sum(api_path="/w1"),
        Double(api_path="/w4"),
        Chunks(api_path="/w6s", stream=True),
        Classify(api_path="/w9"),
    ]
    server = litserve.LitServer(apis, accelerator="cpu", healthcheck_path="/readyz", fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
