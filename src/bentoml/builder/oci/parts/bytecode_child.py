"""Compile files: run by the very release of Python that an image has, `python -I -S bytecode_child.py FOLDER RELEASE`, not imported.

Each line of the input names a file of the folder by a number, and its time: `3 0` becomes `3.pyc`. What cannot be compiled is
left out, as it is none of a container's business before it is imported. Another release than the one that is meant is an error.

The code is written in version 2 of the format, which has no references: what later versions write depends on what else the
process has done (https://github.com/python/cpython/issues/129724). The name of the file is put in when it is imported.
"""

import importlib.util
import marshal
import platform
import sys
import warnings

FORMAT = 2


def compiled(source: bytes, time: int) -> bytes:
    """Return the bytecode of a file, which is that of a source with this size and time alone (PEP 552)."""
    code = compile(source, "-", "exec", dont_inherit=True, optimize=0)
    header = importlib.util.MAGIC_NUMBER + b"".join(
        number.to_bytes(4, "little") for number in (0, time & 0xFFFFFFFF, len(source) & 0xFFFFFFFF)
    )
    return header + marshal.dumps(code, FORMAT)


def main(folder: str, release: str) -> None:
    """Compile what the input names."""
    if platform.python_version() != release:
        sys.exit(f"this is Python {platform.python_version()}, not {release}")
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        number, time = line.split()
        with open(f"{folder}/{number}", "rb") as file:
            source = file.read()
        try:
            data = compiled(source, int(time))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        with open(f"{folder}/{number}.pyc", "wb") as file:
            file.write(data)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
