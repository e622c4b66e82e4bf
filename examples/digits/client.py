"""Send the held-back images to a running service: `python client.py http://127.0.0.1:3000`."""

from __future__ import annotations

import statistics
import sys
import time

from data import split

import bentoml

REQUESTS = 200


def main(url: str) -> None:
    _, images, _, labels = split()
    with bentoml.SyncHTTPClient(url, server_ready_timeout=60) as client:
        found = client.predict(images=images)
        seconds = []
        for i in range(REQUESTS):
            start = time.perf_counter()
            client.predict(images=images[i : i + 1])
            seconds.append(time.perf_counter() - start)
    print(f"{len(images)} held-back images: {(found == labels).mean():.1%} recognised")
    milliseconds = sorted(s * 1000 for s in seconds)
    print(
        f"{REQUESTS} requests of one image: median {statistics.median(milliseconds):.2f} ms, "
        f"99 % within {milliseconds[int(REQUESTS * 0.99)]:.2f} ms"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
