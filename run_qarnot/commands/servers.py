"""Commands that run servers: `demo`, `dashboard`, `cluster`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType

from run_qarnot.commands import show
from run_qarnot.core.errors import InputError, SessionError, reason_of
from run_qarnot.core.messages import Message
from run_qarnot.engine.ports import is_free
from run_qarnot.model.settings import Settings
from run_qarnot.page import local_cluster, serving

_START_SECONDS = 90.0
_WATCH_SECONDS = 0.5
_EXPORT = re.compile(r"export (QARNOT_\w+)='([^']*)'")
_ADDRESS = re.compile(r"Dashboard: (\S+)")


def cluster(settings: Settings, arguments: Namespace) -> int:
    """Run the local cluster alone."""
    _check_local_packages()
    _check_port(arguments.port)
    _check_folder(arguments.state_dir)
    from qarnot_local.__main__ import main

    options = ["--port", str(arguments.port)] if arguments.port else []
    options += ["--state-dir", str(arguments.state_dir)] if arguments.state_dir else []
    options += ["--realistic"] if arguments.realistic else []
    return main(options)


def dashboard(settings: Settings, arguments: Namespace) -> int:
    """Run the dashboard against the cluster of the settings."""
    from run_qarnot.page.server import serve

    serve(settings, serving.from_arguments(arguments))
    return 0


def demo(settings: Settings, arguments: Namespace) -> int:
    """Run the local cluster and a dashboard against it; leave nothing behind."""
    _check_local_packages()
    _check_page_port(arguments.port)
    cluster_environment = {name: value for name, value in os.environ.items() if name != "RUN_QARNOT_LOGIN_TOKEN"}
    with contextlib.suppress(KeyboardInterrupt), ExitStack() as parts:  # a demo is ended by Ctrl-C
        stop = _wait_for_end()
        show.err("Starting the local cluster…")
        local = parts.enter_context(DemoProgram(Message("part.cluster"), ["qarnot_local"], cluster_environment))
        exports: dict[str, str] = {}
        while len(exports) < 3:
            exports.update(_EXPORT.findall(local.read_line()))
        show.err("Starting the dashboard…")
        options = ["--port", str(arguments.port)] if arguments.port else []
        options += ["--no-browser"] if arguments.no_browser else []
        command = ["run_qarnot.page.server", *options]
        everybody = {"RUN_QARNOT_ADMINS": "*"}  # whoever runs the demo also maintains its catalog and plugins
        page = parts.enter_context(
            DemoProgram(Message("part.dashboard"), command, {**everybody, **os.environ, **exports})
        )
        while not (address := _ADDRESS.search(page.read_line())):
            pass
        show.out(f"Run Qarnot is ready: {address[1]}")
        show.err("Everything runs on this machine, with an account made for this demo. Ctrl-C ends it.")
        while not stop.wait(_WATCH_SECONDS):
            local.check()
            page.check()
    return 0


class DemoProgram:
    """A program that runs for exactly as long as the block. `lifeline` ends it even if this process is killed."""

    def __init__(self, title: Message, module: list[str], environment: Mapping[str, str]) -> None:
        self._title = title
        command = [sys.executable, "-m", "run_qarnot.lifeline", "--", sys.executable, "-m", *module]
        # In a session of its own: Ctrl-C in the terminal reaches only this process, which ends the programs in order.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environment),
            start_new_session=True,
        )
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> DemoProgram:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def read_line(self) -> str:
        """Return the next line that it prints."""
        try:
            line = self._lines.get(timeout=_START_SECONDS)
        except Empty:
            raise SessionError("part-silent", part=self._title, seconds=_START_SECONDS) from None
        if not line:
            raise SessionError("part-ended", part=self._title)
        return line

    def check(self) -> None:
        """Raise if it has ended."""
        if self._process.poll() is not None:
            raise SessionError("part-ended", part=self._title)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


def _wait_for_end() -> threading.Event:
    """Return an event that is set by Ctrl-C, by SIGTERM, and by the end of the parent process, such as `make`."""
    stop, parent = threading.Event(), os.getppid()

    def end(*_: object) -> None:
        if stop.is_set():
            return
        stop.set()
        raise KeyboardInterrupt

    def watch() -> None:
        while not stop.wait(_WATCH_SECONDS):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    threading.Thread(target=watch, daemon=True).start()
    return stop


def _check_local_packages() -> None:
    for package in local_cluster.PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise InputError("local-missing", package=package)


def _check_port(port: int | None) -> None:
    if port is not None and not is_free(port):
        raise InputError("port-taken", port=port)


def _check_page_port(port: int | None) -> None:
    """Check the page's port before the cluster is started: it must be free on all addresses of `localhost`."""
    if port is not None:
        from run_qarnot.page.listening import listen

        for each in listen("localhost", port).sockets:
            each.close()


def _check_folder(folder: Path | None) -> None:
    """Create the folder for this user alone, because the cluster's token will be in it."""
    try:
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("write", path=folder, problem=reason_of(error)) from error
