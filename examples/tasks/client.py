"""Submit some pictures, and fetch each as it is ready: `python client.py http://127.0.0.1:3000 pictures`."""

from __future__ import annotations

import sys
from pathlib import Path

import bentoml

WIDTHS = (100, 200, 300)


def main(url: str, folder: str = "pictures") -> None:
    Path(folder).mkdir(exist_ok=True)
    with bentoml.SyncHTTPClient(url, server_ready_timeout=60) as client:
        tasks = {width: client.draw.submit(width=width) for width in WIDTHS}
        too_much = client.draw.submit(width=4000, depth=1000)
        too_much.cancel()
        print(f"{too_much.id}: {too_much.get_status().value}")
        for width, task in tasks.items():
            picture = task.wait(timeout=600)
            picture.save(Path(folder, f"{width}.png"))
            print(f"{task.id}: {picture.width} x {picture.height}")


if __name__ == "__main__":
    main(*sys.argv[1:])
