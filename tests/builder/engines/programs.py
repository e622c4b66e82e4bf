"""Programs that stand for engines: each notes how it was called, and what it was given."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCRIPT = """\
#!{python} -IS
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
call = {{"argv": [pathlib.Path(sys.argv[0]).name, *words], "env": dict(os.environ), "files": {{}}}}
if words and os.path.isdir(words[-1]):
    root = pathlib.Path(words[-1])
    call["files"] = {{str(p.relative_to(root)): p.stat().st_ino for p in root.rglob("*") if p.is_file()}}
if "--file" in words:
    call["dockerfile"] = pathlib.Path(words[words.index("--file") + 1]).read_text()
with (here / "calls").open("a") as log:
    log.write(json.dumps(call) + "\\n")
exec((here / (pathlib.Path(sys.argv[0]).name + ".py")).read_text())
"""
WRITES_ID = """
if "--iidfile" in words:
    pathlib.Path(words[words.index("--iidfile") + 1]).write_text("sha256:" + "a" * 64)
"""


@dataclass(frozen=True)
class Programs:
    """A folder of programs, which alone is on the path."""

    folder: Path

    def add(self, name: str, does: str = WRITES_ID) -> None:
        """Add a program, or let it do something else from now on."""
        program = self.folder / name
        program.write_text(_SCRIPT.format(python=os.path.realpath("/proc/self/exe")))
        program.chmod(0o755)
        (self.folder / f"{name}.py").write_text(does)

    def calls(self) -> list[dict[str, Any]]:
        """Return what was called so far."""
        log = self.folder / "calls"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def builds(self) -> list[dict[str, Any]]:
        """Return the calls that build."""
        return [call for call in self.calls() if "build" in call["argv"][1:3]]

    def env(self, **more: str) -> dict[str, str]:
        """Return an environment in which these are the only programs."""
        return {"PATH": str(self.folder), "HOME": str(self.folder), **more}
