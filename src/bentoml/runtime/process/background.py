"""A server in the background of a Python program: `bentoml serve` as a child process, its log on this process's stdout."""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from ...config import environment
from ...exceptions import BentoMLException, InvalidArgument, StateException
from ...sdk.service import Service
from ...store import current
from ...store.bentos import Bento
from ...tag import Tag

__all__ = ["Server", "serve"]

_LEASH = Path(__file__).parents[1] / "proxied" / "leash.py"
_READY = re.compile(r"Service \S+ ready: (\S+)")
_LAST_LINES = 40


class Server:
    """One server: ``start()`` returns when it is ready, ``stop()`` when it has ended; as a context manager it does both.

    It ends with this process, however that ends.
    """

    def __init__(self, argv: list[str], env: Mapping[str, str], args: Mapping[str, Any]) -> None:
        self._argv = argv
        self._env = dict(env)
        self._args = dict(args)
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._heard = threading.Event()  # that it is ready, or that it has ended
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._url: str | None = None
        self._is_ready = False
        self._error: OSError | None = None

    @property
    def url(self) -> str:
        """The address.

        Raises:
            StateException: the server has not been started.
        """
        if self._url is None:
            raise StateException("the server has no address before `start()`")
        return self._url

    @property
    def running(self) -> bool:
        """Whether the process of the server runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and return when it takes requests; one that runs is left alone.

        Raises:
            BentoMLException: it cannot start; the message has the end of its log.
        """
        if self.running:
            return
        self._heard.clear()
        self._is_ready = False
        # The thread that starts a process on a leash has to live as long as that process.
        self._thread = threading.Thread(target=self._run, name="bentoml-server", daemon=True)
        self._thread.start()
        try:
            self._heard.wait()
        except BaseException:
            self.stop()
            raise
        if not self._is_ready:
            self._thread.join()
            if self._error is not None:
                raise BentoMLException(f"the server cannot be started: {self._error}") from self._error
            raise BentoMLException("the server did not start:\n" + "".join(self._last).rstrip())
        atexit.register(self.stop)

    def stop(self) -> None:
        """Let the requests in flight end, and return when the server has ended."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGTERM)
        if self._thread is not None:
            self._thread.join()
        atexit.unregister(self.stop)

    def wait(self) -> None:
        """Return when the server has ended; CTRL+C ends it."""
        try:
            while self._thread is not None and self._thread.is_alive():
                self._thread.join(1.0)
        finally:
            self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _run(self) -> None:
        """Run the process to its end, passing on what it says."""
        with TemporaryDirectory(prefix="bentoml-serve-") as folder:
            file = Path(folder, "args.yaml")
            file.write_text(json.dumps(self._args, default=str))
            leash = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())]
            argv = [*leash, *self._argv, "--arg-file", str(file)]
            try:
                self._process = subprocess.Popen(
                    argv, env=self._env, text=True, errors="replace", stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
                with self._process as process:
                    for line in process.stdout or ():
                        self._hear(line)
            except OSError as e:
                self._error = e
            finally:
                self._heard.set()

    def _hear(self, line: str) -> None:
        self._last.append(line)
        sys.stdout.write(line)
        sys.stdout.flush()
        if found := _READY.search(line):
            self._url = found[1]
            self._is_ready = True
            self._heard.set()


def serve(
    bento: str | Tag | Bento | Service[Any],
    server_type: str = "http",
    reload: bool = False,
    production: bool = True,
    env: str | None = None,
    host: str | None = None,
    port: int | None = None,
    working_dir: str | None = None,
    api_workers: int | None = None,
    backlog: int | None = None,
    timeout: float | None = None,
    ssl_certfile: str | None = None,
    ssl_keyfile: str | None = None,
    ssl_keyfile_password: str | None = None,
    ssl_version: int | None = None,
    ssl_cert_reqs: int | None = None,
    ssl_ca_certs: str | None = None,
    ssl_ciphers: str | None = None,
    blocking: bool = False,
    args: Mapping[str, Any] | None = None,
) -> Server:
    """Serve a bento, a project or a service as `bentoml serve` does, in a process of its own.

    Returns when the server is ready; with ``blocking``, when it has ended. ``port=0`` takes a free port. ``args`` are what
    ``bentoml.use_arguments`` returns there.

    Raises:
        BentoMLException: it cannot start.
        InvalidArgument: another kind of server, or environment, is asked for than there is.
    """
    if server_type != "http":
        raise InvalidArgument(f"server_type is `http`, not `{server_type}`")
    if env is not None:
        raise InvalidArgument(f"env `{env}`: the server runs with the Python that starts it")
    target, folder = _target(bento, working_dir)
    options = {
        "working-dir": folder, "host": host, "port": port, "api-workers": api_workers, "backlog": backlog,
        "timeout": timeout, "ssl-certfile": ssl_certfile, "ssl-keyfile": ssl_keyfile,
        "ssl-keyfile-password": ssl_keyfile_password, "ssl-version": ssl_version, "ssl-cert-reqs": ssl_cert_reqs,
        "ssl-ca-certs": ssl_ca_certs, "ssl-ciphers": ssl_ciphers,
    }  # fmt: skip
    flags = [f"--{name}={value}" for name, value in options.items() if value is not None]
    flags += ["--reload"] * reload + ["--development"] * (not production)
    argv = [sys.executable, "-m", "bentoml", "serve", *flags]
    variables = {**environment(), "BENTOML_HOME": str(current.home().root), "PYTHONUNBUFFERED": "1"}
    server = Server([*argv, target], variables, args or {})
    server.start()
    if blocking:
        server.wait()
    return server


def _target(bento: str | Tag | Bento | Service[Any], working_dir: str | None) -> tuple[str, str | None]:
    """Return what to serve and the folder to import it from."""
    if isinstance(bento, Bento):
        return str(bento.tag), working_dir
    if not isinstance(bento, Service):
        return str(bento), working_dir
    if bento.bento is not None:
        return str(bento.bento.tag), working_dir
    if not bento.import_string:
        raise InvalidArgument(
            f"service `{bento.name}` has not been loaded from anywhere: give its import string, such as `service:{bento.name}`"
        )
    return bento.import_string, working_dir or bento.working_dir
