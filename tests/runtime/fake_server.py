"""A program that runs the real supervisor over fake workers: ``fake_server.py WISHES [PORT]``."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from bentoml.exceptions import BentoMLException
from bentoml.runtime.process.logging import configure
from bentoml.runtime.process.plan import Options
from bentoml.runtime.process.supervisor import serve


def main() -> int:
    """Serve as the command does."""
    wishes, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    configure("cli", logging.INFO)
    options = Options(target=wishes, port=port, reload="folder=" in wishes)
    worker = [sys.executable, "-P", str(Path(__file__).with_name("fake_worker.py"))]
    try:
        return serve(options, env=os.environ, cpus=2, command=worker)
    except BentoMLException as e:
        print(f"Error: {e}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
