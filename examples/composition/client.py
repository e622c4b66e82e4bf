"""Compare two texts: `python client.py http://127.0.0.1:3000 "a small model" "a large model"`."""

from __future__ import annotations

import sys

import bentoml


def main(url: str, one: str, other: str) -> None:
    with bentoml.SyncHTTPClient(url, server_ready_timeout=60) as client:
        print(f"{client.compare(one=one, other=other):.0%} alike")


if __name__ == "__main__":
    main(*sys.argv[1:])
