"""Save as many small models as the argument says; both implementations run this."""

from __future__ import annotations

import sys
from pathlib import Path

import bentoml

for i in range(int(sys.argv[1])):
    with bentoml.models.create(f"model-{i:03d}") as model:
        (Path(model.path) / "weights.bin").write_bytes(b"%d" % i)
