"""Print the size of files and functions against the house's soft limits (400 and 40 lines)."""

from __future__ import annotations

import ast
from pathlib import Path

FILE_LINES, FUNCTION_LINES = 400, 40


def main() -> None:
    """Count the lines of each module and function under src/."""
    files: list[tuple[int, str]] = []
    functions: list[tuple[int, str]] = []
    for path in sorted(Path("src").rglob("*.py")):
        text = path.read_text()
        files.append((text.count("\n"), str(path)))
        functions.extend(
            ((node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
    print(f"{len(files)} files, {sum(n for n, _ in files)} lines, {len(functions)} functions")
    for limit, rows, what in ((FILE_LINES, files, "files"), (FUNCTION_LINES, functions, "functions")):
        long = sorted((row for row in rows if row[0] > limit), reverse=True)
        print(f"{what} over {limit} lines: {len(long)}")
        for lines, name in long:
            print(f"  {lines:5}  {name}")


if __name__ == "__main__":
    main()
