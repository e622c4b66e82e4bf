"""``python -m bentoml``, and the entry of the ``bentoml`` command."""

from __future__ import annotations

import gc
import signal
import sys

from . import __version__

# A command makes many objects and hardly any garbage: to look for some after each 700, as Python does, and once more at
# its end takes a tenth of its time.
_RARELY = 50_000


def main() -> None:
    """Run the command line; ``--version`` answers before anything else is loaded."""
    if sys.argv[1:] in (["--version"], ["-v"]):
        print(f"bentoml, version {__version__}")  # noqa: T201
        return
    gc.set_threshold(_RARELY)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # not under `nohup`
            signal.signal(number, _end)
    try:
        from .cli.main import run  # the command table costs 40 ms, which `--version` need not pay
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        run()
    finally:
        gc.freeze()


def _end(number: int, _: object) -> None:
    """End in the usual way, so that what is half done is tidied up; a server has a handler of its own."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
