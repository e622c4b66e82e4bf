"""``python -m bentoml``, and the entry of the ``bentoml`` command."""

from __future__ import annotations

import sys

from . import __version__


def main() -> None:
    """Run the command line; ``--version`` answers before anything else is loaded."""
    if sys.argv[1:] in (["--version"], ["-v"]):
        print(f"bentoml, version {__version__}")  # noqa: T201
        return
    try:
        from .cli.main import run  # the command table costs 40 ms, which `--version` need not pay
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
