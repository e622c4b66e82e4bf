"""Fuzz the targets guided by coverage: `guided.py SECONDS` runs each for its share, `guided.py TARGET ...` is one of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FINDINGS = ROOT / ".cache" / "fuzz-findings"

_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_LIMITS = ("-rss_limit_mb=2048", "-timeout=10", "-max_len=16384", "-verbosity=1")


def main(seconds: int) -> int:
    """Run every target; print executions and findings, and return how many targets found something."""
    from tests.fuzz.targets import TARGETS, WORDS

    share = max(1, seconds // len(TARGETS))
    executions, broken = 0, []
    with tempfile.TemporaryDirectory(prefix="bentoml-fuzz-") as folder:
        words = Path(folder, "words")
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS))
        for name, target in TARGETS.items():
            corpus = Path(folder, name.replace(" ", "-"))
            corpus.mkdir()
            for number, seed in enumerate(target.seeds):
                corpus.joinpath(str(number)).write_bytes(seed)
            runs, log = _fuzzed(name, corpus, words, share)
            executions += runs or 0
            print(f"{name:24} {'FOUND' if runs is None else runs:>12}", flush=True)
            if runs is None:
                broken.append(name)
                print(log)
    print(
        f"{'all':24} {executions:>12} executions, findings in {len(broken)} targets: {', '.join(broken) or 'none'}"
    )
    return len(broken)


def _fuzzed(name: str, corpus: Path, words: Path, seconds: int) -> tuple[int | None, str]:
    """Run one target; return how often, or None and what was found."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            sys.executable, __file__, name, corpus, f"-max_total_time={seconds}", f"-dict={words}",
            f"-artifact_prefix={FINDINGS}/{corpus.name}-", *_LIMITS,
        ],
        cwd=ROOT, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    match = _DONE.search(done.stderr)
    if done.returncode == 0 and match:
        return int(match[1]), ""
    return None, done.stderr[-4000:]


def _escaped(word: bytes) -> str:
    return "".join(rf"\x{byte:02x}" for byte in word)


def one(name: str) -> None:
    """Be the process of one target."""
    import atheris

    with atheris.instrument_imports(include=["bentoml", "pydantic", "urllib"]):
        from tests.fuzz.targets import TARGETS

    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1].isdigit():
        sys.exit(min(1, main(int(sys.argv[1]))))
    one(sys.argv.pop(1))
