"""Print a streamed story as it comes: `python client.py http://127.0.0.1:3000`."""

from __future__ import annotations

import sys

import bentoml


def main(url: str) -> None:
    with bentoml.SyncHTTPClient(url, server_ready_timeout=60) as client:
        for piece in client.tell(name="Mole"):
            print(piece, end="", flush=True)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
