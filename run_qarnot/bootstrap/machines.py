"""Dask on several machines: the first one leads, the others work (`reference/machines.md`). Part of `start.sh`.

It is run by path with the Python of the user's image: it needs 3.8 or newer and imports only the standard library.

`lead` starts the scheduler on instance 0 and writes what a notebook needs (`DASK_SCHEDULER_ADDRESS`, the certificate)
into a file of `export NAME='value'` lines. `work` runs workers on another instance: it waits for the scheduler, starts
them again when they end, and ends when the leader does. The machines exchange everything through the shared folder:
`scheduler.json` (Dask's own), the certificate, and the marker `ended`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

PACKAGES = ["dask", "distributed"]
MORE_PACKAGES = ["bokeh", "jupyter-server-proxy"]  # for the dashboard, which is all that is missing without them
DASHBOARD_PORT = 8787
POLL_SECONDS = 0.2
PROBE_SECONDS = 2.0
AGAIN_SECONDS = 1.0  # between two attempts to run a worker or a scheduler
END_SECONDS = 5.0  # that workers get to finish their tasks once the leader has ended
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")


def say(text: str) -> None:
    """Print a line to the task's output."""
    print(f"Run Qarnot: {text}", flush=True)  # noqa: T201 - the output of the task


# -- the shared folder --


class SharedFolder:
    """The folder through which the machines of a run exchange what they need."""

    def __init__(self, share: Path) -> None:
        self._hosts = share / "qhost"
        self._folder = share / "run-qarnot"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.scheduler = self._folder / "scheduler.json"
        self.certificate = self._folder / "dask.pem"
        self.key = self._folder / "dask.key"
        self._ended = self._folder / "ended"

    @property
    def is_over(self) -> bool:
        """Whether the leader has ended."""
        return self._ended.exists()

    def begin(self) -> None:
        """Remove the files of an earlier attempt of the leader."""
        for file in (self._ended, self.scheduler):
            with contextlib.suppress(FileNotFoundError):
                file.unlink()

    def end(self) -> None:
        """Tell all workers to end."""
        with contextlib.suppress(OSError):
            self._ended.touch()

    def peers(self) -> list[str]:
        """The addresses in `qhost`, whose exact format is not documented."""
        try:
            return _ADDRESS.findall(self._hosts.read_text())
        except OSError:
            return []

    def address(self) -> str | None:
        """The scheduler's address, such as `tls://10.0.0.1:8786`, if it answers."""
        try:
            found = str(json.loads(self.scheduler.read_text())["address"])
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return found if answers(found) else None


def answers(address: str) -> bool:
    """Whether a server accepts connections there."""
    parts = urllib.parse.urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), PROBE_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


def own_address(peers: list[str]) -> str:
    """The address of this machine: one of its own that `qhost` lists, or the one it uses to reach a peer."""
    with contextlib.suppress(OSError):
        own = {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        for address in peers:
            if address in own:
                return address
    for address in peers:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # sends nothing, only finds the route
            return str(probe.getsockname()[0])
    return "127.0.0.1"


# -- Dask --


def install() -> None:
    """Install Dask where the image has none. Raises SystemExit when that fails."""
    missing = [name for name in PACKAGES if not has(name)]
    wanted = missing + [name for name in MORE_PACKAGES if not has(name.replace("-", "_"))]
    if not wanted:
        return
    say(f"This image has no {', '.join(wanted)}; installing.")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--progress-bar", "off"]
    if subprocess.call([*pip, *wanted], stdin=subprocess.DEVNULL) and missing:
        say(f"Installing {', '.join(missing)} failed: this machine cannot work with the others.")
        raise SystemExit(78)


def has(module: str) -> bool:
    """Whether a module can be imported."""
    return importlib.util.find_spec(module) is not None


def make_certificate(shared: SharedFolder) -> bool:
    """Write the key and certificate of this run, readable only by this user; return False if that fails."""
    code = (
        "import sys\n"
        "from distributed.security import Security\n"
        "made = Security.temporary()\n"
        "for path, text in zip(sys.argv[1:], (made.tls_ca_file, made.tls_scheduler_key)):\n"
        "    open(path, 'w').write(text)\n"
    )
    for file in (shared.certificate, shared.key):
        os.close(os.open(str(file), os.O_CREAT | os.O_WRONLY, 0o600))
    return subprocess.call([sys.executable, "-c", code, str(shared.certificate), str(shared.key)]) == 0


def tls_variables(shared: SharedFolder) -> dict[str, str]:
    """The environment variables that make Dask use that certificate, on all machines and in notebooks."""
    prefix = "DASK_DISTRIBUTED__COMM__"
    variables = {f"{prefix}REQUIRE_ENCRYPTION": "true", f"{prefix}TLS__CA_FILE": str(shared.certificate)}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        variables[f"{prefix}TLS__{role}__CERT"] = str(shared.certificate)
        variables[f"{prefix}TLS__{role}__KEY"] = str(shared.key)
    return variables


def free_port(wanted: int) -> int:
    """Return the wanted port of 127.0.0.1, or another one where it is in use."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    return 0


class Group:
    """A program in a process group of its own."""

    def __init__(self, command: list[str], log: Path | None) -> None:
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("ab")) if log else None
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output and subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self, seconds: float) -> None:
        """Ask all its processes to end, and kill them after `seconds`."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while not self.has_ended and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 4)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class Stop(Exception):  # noqa: N818  it is no error
    """Raised by SIGTERM."""


def stop(*_: object) -> None:
    raise Stop


# -- the two roles --


def lead(options: argparse.Namespace, shared: SharedFolder) -> None:
    """Run the scheduler, and start it again at the same address if it ends, until SIGTERM."""
    shared.begin()
    install()
    address = options.address or own_address(shared.peers())
    is_safe = make_certificate(shared)
    os.environ.update(tls_variables(shared) if is_safe else {})
    port, dashboard = 0, free_port(DASHBOARD_PORT)
    scheduler: Group | None = None
    worker: Group | None = None
    try:
        while True:
            if scheduler is None or scheduler.has_ended:
                command = dask("scheduler", "--host", address, "--port", str(port))
                command += ["--protocol", "tls" if is_safe else "tcp", "--scheduler-file", str(shared.scheduler)]
                scheduler = Group([*command, "--dashboard-address", f"127.0.0.1:{dashboard}"], options.log)
                found = wait_for_scheduler(shared, scheduler)
                if found and not port:
                    port = urllib.parse.urlsplit(found).port or 0
                    write_variables(options.variables, found, shared, dashboard, is_safe)
                    say(f"The Dask scheduler answers at {found}.")
            if options.count == 1 and (worker is None or worker.has_ended):  # no other machine would work
                worker = start_worker(options, shared)
            time.sleep(AGAIN_SECONDS)
    finally:
        shared.end()
        for group in (worker, scheduler):
            if group is not None:
                group.end(END_SECONDS)


def wait_for_scheduler(shared: SharedFolder, scheduler: Group) -> str | None:
    """Return the scheduler's address once it answers; None when it ended."""
    while not scheduler.has_ended:
        found = shared.address()
        if found:
            return found
        time.sleep(POLL_SECONDS)
    return None


def write_variables(file: Path, address: str, shared: SharedFolder, dashboard: int, is_safe: bool) -> None:
    """Write the variables of JupyterLab and its notebooks."""
    base = os.environ.get("RUN_QARNOT_BASE_URL", "/")
    variables = tls_variables(shared) if is_safe else {}
    variables["DASK_SCHEDULER_ADDRESS"] = address
    variables["DASK_DISTRIBUTED__DASHBOARD__LINK"] = f"{base}proxy/{DASHBOARD_PORT}/status"
    if dashboard != DASHBOARD_PORT:  # the address of the dashboard stays the same for the user
        folder = file.parent / "jupyter-ports"
        folder.mkdir(exist_ok=True)
        servers = {f"proxy/{DASHBOARD_PORT}": {"command": [], "port": dashboard, "launcher_entry": {"enabled": False}}}
        (folder / "jupyter_server_config.json").write_text(json.dumps({"ServerProxy": {"servers": servers}}))
        before = os.environ.get("JUPYTER_CONFIG_PATH", "")
        variables["JUPYTER_CONFIG_PATH"] = f"{before}:{folder}" if before else str(folder)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    temporary = file.with_name(f"{file.name}.new")
    temporary.write_text("".join(lines))
    temporary.replace(file)


def work(options: argparse.Namespace, shared: SharedFolder) -> None:
    """Run workers for the leader, restarting them, until it ends or SIGTERM arrives."""
    install()
    worker: Group | None = None
    try:
        while not shared.is_over:
            if worker is None or worker.has_ended:
                worker = start_worker(options, shared)
            time.sleep(AGAIN_SECONDS if worker is None else POLL_SECONDS)
        say("The first machine has ended: this one ends, too.")
    finally:
        if worker is not None:
            worker.end(END_SECONDS)


def start_worker(options: argparse.Namespace, shared: SharedFolder) -> Group | None:
    """Start workers if the scheduler answers. Each attempt has a new name: the scheduler refuses one it knows."""
    if shared.address() is None:
        return None
    if shared.certificate.exists() and shared.certificate.stat().st_size:
        os.environ.update(tls_variables(shared))
    name = f"machine-{options.number}-{time.time():.0f}"
    scratch = tempfile.mkdtemp(prefix="dask-")  # not in /job, which is uploaded
    command = dask("worker", "--scheduler-file", str(shared.scheduler), "--name", name, "--local-directory", scratch)
    command += ["--nworkers", options.workers, "--death-timeout", "20", "--no-dashboard"]
    command += ["--host", options.address] if options.address else []
    say(f"Machine {options.number} works for {shared.address()}.")
    return Group(command, options.log)


def dask(*words: str) -> list[str]:
    """The command line of Dask's own program."""
    return [sys.executable, "-m", "dask", *words]


def main() -> int:
    parser = argparse.ArgumentParser(description="Several machines with Dask.")
    parser.add_argument("role", choices=["lead", "work"])
    parser.add_argument("--share", type=Path, required=True, help="folder that all machines share")
    parser.add_argument("--number", type=int, default=0, help="of this machine")
    parser.add_argument("--count", type=int, default=1, help="of all machines")
    parser.add_argument("--address", default="", help="of this machine; found out when left out")
    parser.add_argument("--workers", default="auto", help="processes of a machine that works")
    parser.add_argument("--log", type=Path, help="file for the output of Dask")
    parser.add_argument("--variables", type=Path, help="file for the variables of notebooks")
    options = parser.parse_args()
    if options.log:
        options.log.parent.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    with contextlib.suppress(Stop):
        (lead if options.role == "lead" else work)(options, SharedFolder(options.share))
    return 0


if __name__ == "__main__":
    sys.exit(main())
