"""Make a contact sheet of picture files: `python client.py http://127.0.0.1:3000 sheet.png a.jpg b.png`."""

from __future__ import annotations

import sys
from pathlib import Path

import bentoml


def main(url: str, target: str, *pictures: str) -> None:
    with bentoml.SyncHTTPClient(url, server_ready_timeout=60) as client:
        sheet = client.sheet(pictures=[Path(picture) for picture in pictures])
        sheet.save(target)
    print(f"{target}: {sheet.width} x {sheet.height}")


if __name__ == "__main__":
    main(*sys.argv[1:])
