"""The health check of a container: `python -I -S health.py PORT` asks the server that its first process is, if it is one.

It is run every few seconds, and where nothing of Python's own library is compiled: it imports what is written in C alone.
PORT is that of the service, where nobody says another.
"""

import _socket
import sys

SERVER_ERROR = 500  # a program that has no /livez of its own answers 404, and lives
SECONDS = 4


def words(file: str) -> list[str]:
    """Return the texts of a file in `/proc` that ends each with a NUL."""
    with open(file, encoding="utf-8", errors="surrogateescape") as opened:
        return opened.read().split("\0")[:-1]


def option(command: list[str], *names: str) -> str:
    """Return the value that the last of these options has in a command line, or an empty text."""
    value = ""
    for place, word in enumerate(command):
        name, equals, given = word.partition("=")
        if name in names:
            value = given if equals else "".join(command[place + 1 : place + 2])
    return value


def address(command: list[str], env: dict[str, str], port: str) -> tuple[str, int]:
    """Return host and port: whoever runs the container may name them as an option or as a variable."""
    host = option(command, "--host") or env.get("BENTOML_HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return host, int(option(command, "--port", "-p") or env.get("PORT") or env.get("BENTOML_PORT") or port)


def is_healthy(host: str, port: int) -> bool:
    """Say whether a server is there and lives; one that does not speak plain HTTP listens, and does so when it is ready."""
    connection = _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET, _socket.SOCK_STREAM)
    connection.settimeout(SECONDS)
    try:
        connection.connect((host, port))
        connection.sendall(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = connection.recv(12)
    except ConnectionResetError:
        return True
    except OSError:
        return False
    finally:
        connection.close()
    return not answer.startswith(b"HTTP/1.") or int(answer[9:12]) < SERVER_ERROR


def main(port: str, first_process: str = "/proc/1/cmdline", own_variables: str = "/proc/self/environ") -> int:
    """Return the exit code of the check: 0 for healthy, and for a container that does something else than to serve."""
    command = words(first_process)
    if "serve" not in command and "serve-http" not in command:
        return 0
    env = dict(variable.partition("=")[::2] for variable in words(own_variables))
    return 0 if is_healthy(*address(command, env, port)) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
