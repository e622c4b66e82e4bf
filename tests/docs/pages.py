"""The pages of the documentation as programs: their fenced blocks, and how these are run.

A block whose opening line names a file (```` ```python service.py ````) is that file of the page's project. A ``console``
block holds commands behind ``$ `` and what they print; ``...`` alone on a line stands for any lines. A command
``bentoml serve`` goes on until the next one, or the end of the page. Other blocks are only looked at.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

from tests.support import free_port

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

_SERVES = re.compile(r"(\w+=('[^']*'|\S*) )*bentoml serve\b")  # with or without variables of its own
_BLOCK = re.compile(r"^```(\w+)[ ]?([\w./-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_VERSION = re.compile(r"(?<=:)[a-z2-7]{16}\b")

# What differs from one run to the next, and the word that stands for it.
_VARIABLE = (
    (_VERSION, "VERSION"),
    (re.compile(r"sha256:[0-9a-f]{64}"), "DIGEST"),
    (re.compile(r'(?<="task_id": ")[0-9a-f]{32}'), "TASK"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:?\d\d)?"), "TIME"),
    (re.compile(r"\b\d+\.\d+ms"), "DURATION"),
    (re.compile(r"\bin \d+\.\d+s\b"), "in DURATION"),
    (re.compile(r"\b\d+\.\d\d (B|KiB|MiB|GiB)\b"), "SIZE"),
    (re.compile(r"(trace=)\w+(,span=)\w+"), r"\1ID\2ID"),
    (re.compile(r"(x-bentoml-(?:request|trace)-id: )\w+"), r"\1ID"),
    (re.compile(r"^date: .*$", re.MULTILINE | re.IGNORECASE), "DATE"),
    (re.compile(r"(http://127\.0\.0\.1:\d+)(  ?\d+)+$", re.MULTILINE), r"\1  PIDS"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"localhost:\d+"), "ADDRESS"),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "RELEASE"),
    (re.compile(r"(errors\.pydantic\.dev/)[\d.]+"), r"\1RELEASE"),
    (re.compile(r"(^python: .*\n)+", re.MULTILINE), "python: LAYERS\n"),  # of what packages are large today
    (
        re.compile(r"^the bento does not pin its base image .*\n", re.MULTILINE),
        "",
    ),  # said where its registry is out of reach
    (re.compile(r"^[A-Z].* \.\.\.\n", re.MULTILINE), ""),  # a step, said where it takes long
    (re.compile(r"[ \t]+"), " "),
)


class Block(NamedTuple):
    """One fenced block: its language, the file that it is (or nothing), its text, and its line in the page."""

    language: str
    file: str
    text: str
    line: int


class Command(NamedTuple):
    """One command of a console block, and what the page says that it prints."""

    line: str
    output: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text("utf-8")
    return [Block(m[1], m[2], m[3], text.count("\n", 0, m.start()) + 1) for m in _BLOCK.finditer(text)]


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block; a line that ends with a backslash goes on in the next one."""
    pieces = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not pieces[0].strip(), f"output without a command in line {block.line}"
    found = []
    for piece in pieces[1:]:
        match = re.match(r"((?:.*\\\n)*.*)\n?", piece)
        assert match is not None
        found.append(Command(match[1], piece[match.end() :]))
    return found


def is_run(page: Path) -> bool:
    """Say whether a page has commands to run."""
    return any(block.language == "console" for block in blocks(page))


def agrees(printed: str, written: str) -> bool:
    """Say whether what was printed is what the page says, but for what differs from one run to the next."""
    return re.fullmatch(_pattern(written), "".join(f"{line}\n" for line in _lines(printed))) is not None


def versions(text: str) -> list[str]:
    """Return the versions of models and bentos in a text."""
    return _VERSION.findall(text)


class Run:
    """A project folder of its own, with a store, in which a page is run from top to bottom."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.port = free_port()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "BENTOML_HOME": str(folder / "home"), "BENTOML_PORT": str(self.port)}
        plain = {"NO_COLOR": "1", "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"}
        self.env = {**os.environ, **own, **plain}
        self._server: _Server | None = None

    def outputs(self, page: Path) -> Generator[tuple[Command, str]]:
        """Write each file and run each command of a page; yield what each command printed."""
        try:
            for block in blocks(page):
                if block.file:
                    file = self.folder / block.file
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(self._here(block.text), "utf-8")
                elif block.language == "console":
                    for command in commands(block):
                        yield command, self._there(self._output(command))
        finally:
            self._stop()

    def _output(self, command: Command) -> str:
        if _SERVES.match(command.line):
            self._stop()
            self._server = _Server(command.line, self.folder, self.env)
            return self._server.until_ready()
        done = subprocess.run(
            ["bash", "-c", self._here(command.line)], cwd=self.folder, env=self.env, timeout=600, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _here(self, text: str) -> str:
        """Return a text of the page with the port of this run."""
        return re.sub(r"(localhost|127\.0\.0\.1):3000", rf"\1:{self.port}", text)

    def _there(self, text: str) -> str:
        return text.replace(f":{self.port}", ":3000")


class _Server:
    """A server in the background."""

    def __init__(self, command: str, folder: Path, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"], cwd=folder, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._log: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def until_ready(self) -> str:
        """Return what it has said when it is ready, or has ended."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self._process.poll() is None:
            if any(" ready: " in line for line in self._log):
                return "".join(self._log)
            time.sleep(0.02)
        self.stop()
        return "".join(self._log)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)
        self._reader.join(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._log.append(line)


def _pattern(written: str) -> str:
    return "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in _lines(written))


def _lines(text: str) -> list[str]:
    for pattern, word in _VARIABLE:
        text = pattern.sub(word, text)
    return [line.strip() for line in text.splitlines() if line.strip()]
