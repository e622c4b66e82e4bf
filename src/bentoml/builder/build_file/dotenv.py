"""Files of environment variables: `NAME=value` on each line, as `docker.env` may name one."""

from __future__ import annotations

__all__ = ["read_dotenv"]


def read_dotenv(text: str) -> list[str]:
    """Return the assignments of a file as ``NAME=value``: without comments, ``export`` and the quotes around a value.

    Nothing is expanded: a ``$`` in a value is a ``$``.
    """
    return [
        _assignment(line) for physical in text.splitlines() if (line := physical.strip()) and line[0] != "#"
    ]


def _assignment(line: str) -> str:
    name, equals, value = line.removeprefix("export ").partition("=")
    value = value.strip()
    if len(value) > 1 and value[0] in "'\"":
        quote = value[0]
        end = value.find(quote, 1)
        rest = value[end + 1 :].strip()
        if end > 0 and (not rest or rest.startswith("#")):
            value = value[1:end]
    else:
        value = value.partition(" #")[0].rstrip()
    return f"{name.strip()}{equals}{value}"
