"""Ends a run that nobody uses. It runs beside the app, whether or not a dashboard is open.

It is run by path with the Python of the user's image: it needs 3.8 or newer and imports only the standard library.
`start.sh` starts it, or the configuration of a Jupyter server that the image itself starts (`jupyter_config.py`).

Used means: a kernel is busy, or was within the limit; a terminal of Jupyter printed or was typed into; somebody is
logged in by SSH; a process computes; or somebody asked to keep it on. A tunnel, an open browser tab, the server's own
work for it, and our own programs are no use. On systems without `/proc`, only Jupyter is asked.

What it finds is in `/job/.run-qarnot/idle.json`, which is written when it changes:

    {"minutes": 60, "idle_since": "2026-11-30T12:10:00Z" or null, "ended": the same or null, "ends": []}

`ended` is when it ended this run, `ends` when it ended earlier ones, whose file comes back with the results.

To keep a run on is to write the file `keep-on` beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

LOOK_SECONDS = 30.0  # between two checks; a sixth of a short limit
SAID_AFTER = 0.25  # of the limit: shorter idle times are not reported
# CPU time since the last check: of a core for one process, or of the whole machine for all together. An idle kernel,
# worker or editor needs at most a twentieth of a core.
LOAD = 0.1
PATIENCE_SECONDS = 60.0  # for a server that was asked to end
MOST_ENDS = 1000  # of earlier runs
OURS = Path(__file__).resolve().parent
MARK = "RUN_QARNOT_BASE_URL"  # a variable that all processes of one session have, and no others
PROC = Path("/proc")
PARENT = os.getppid()
SCRATCH = {"sftp-server"}  # no login: files that come and go, by the dashboard too


class Jupyter(NamedTuple):
    """The URL of a Jupyter server, and its token."""

    url: str
    token: str

    def ask(self, path: str) -> list[dict[str, Any]]:
        """Request a list; return an empty one if there is no response."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.addheaders = [("Authorization", f"token {self.token}")]
        try:
            with opener.open(self.url.rstrip("/") + path, timeout=10) as answer:
                found = json.load(answer)
        except (OSError, ValueError):
            return []
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    def used_at(self, now: float) -> float:
        """When it was last used, in seconds since the epoch; 0 if unknown."""
        found = [*self.ask("/api/kernels"), *self.ask("/api/terminals")]
        if any(each.get("execution_state") == "busy" for each in found):
            return now
        return max((seconds_of(each.get("last_activity")) for each in found), default=0.0)


def find_jupyter(server: int, runtime: Path) -> Jupyter | None:
    """Return the server with this process id, from the runtime file that Jupyter Server writes."""
    for name in ("jpserver", "nbserver"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads((runtime / f"{name}-{server}.json").read_text("utf-8"))
            return Jupyter(f"http://127.0.0.1:{int(told['port'])}{told['base_url']}", told["token"])
    return None


def seconds_of(text: object) -> float:
    """Convert a time in Jupyter's format to seconds since the epoch; 0 if it is invalid."""
    with contextlib.suppress(ValueError):
        time_of = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        return (time_of if time_of.tzinfo else time_of.replace(tzinfo=timezone.utc)).timestamp()  # noqa: UP017  Python 3.8
    return 0.0


def text_of(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


# -- processes --


def environment_of(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty if it is not readable."""
    try:
        lines = (PROC / str(pid) / "environ").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def processes() -> dict[int, dict[str, str]]:
    """The processes of this session with their variables: all of them in a container, whose first one has the mark."""
    mark = os.environ.get(MARK, "")
    try:
        found = {int(each.name): environment_of(int(each.name)) for each in PROC.iterdir() if each.name.isdigit()}
    except OSError:
        return {}
    is_container = found.get(1, {}).get(MARK, "") == mark
    return {pid: each for pid, each in found.items() if is_container or each.get(MARK, "") == mark}


def connected_ports() -> set[tuple[int, int]]:
    """The local and the remote port of each established connection."""
    ports = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in (PROC / "net" / name).read_text("ascii").splitlines()[1:]:
                _, here, there, state = line.split()[:4]
                if state == "01":
                    ports.add((int(here.rpartition(":")[2], 16), int(there.rpartition(":")[2], 16)))
    return ports


def is_logged_in(environments: dict[int, dict[str, str]]) -> bool:
    """Whether a shell or command started by SSH is running and its connection is established.

    A connection that only forwards ports, such as our tunnel, starts none.
    """
    logins = [(pid, environment.get("SSH_CONNECTION", "").split()) for pid, environment in environments.items()]
    clients = {(int(client[3]), int(client[1])) for pid, client in logins if len(client) == 4 and not _is_scratch(pid)}
    return bool(clients & connected_ports())


def _is_scratch(pid: int) -> bool:
    try:
        return (PROC / str(pid) / "comm").read_text("utf-8").strip() in SCRATCH
    except (OSError, ValueError):
        return True  # gone


def is_program_of_ours(pid: int) -> bool:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return True
    # On the local cluster, `packages.py` runs from another folder.
    keeps_packages = len(words) > 2 and words[1].endswith("/packages.py") and words[2] == "keep"
    return keeps_packages or any(Path(word).parent == OURS for word in words[1:3] if word.startswith("/"))


class Load:
    """The CPU usage of this session's processes.

    Arguments:
        servers: processes whose own work does not count as use.
    """

    def __init__(self, servers: set[int]) -> None:
        self._servers = servers
        self._before = self._seconds(processes())
        self._looked = time.monotonic()

    def is_high(self, environments: dict[int, dict[str, str]]) -> bool:
        """Whether they computed since the last check, including their children that have ended."""
        now, seconds = time.monotonic(), self._seconds(environments)
        spent = [total - self._before.get(key, 0.0) for key, total in seconds.items()]
        most, elapsed = LOAD * (now - self._looked), now - self._looked
        self._looked, self._before = now, seconds
        return elapsed > 0 and (max(spent, default=0.0) >= most or sum(spent) >= most * (os.cpu_count() or 1))

    def _seconds(self, environments: dict[int, dict[str, str]]) -> dict[tuple[int, str], float]:
        found = {}
        for pid in environments:
            if pid not in self._servers and not is_program_of_ours(pid):
                with contextlib.suppress(OSError, ValueError, IndexError):
                    fields = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                    # With the start time (22), because process ids are reused. Fields 14 to 17 are CPU times.
                    found[pid, fields[19]] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        return found


# -- the judge --


class Judge:
    """Decides since when a run is idle.

    Arguments:
        limit: seconds after which it ends.
        folder: of `keep-on`.
        find: returns the Jupyter server, None while it is unknown.
        load: of the processes.
    """

    def __init__(self, limit: float, folder: Path, find: Any, load: Load) -> None:
        self.limit = limit
        self.used = time.time()
        self._folder = folder
        self._find = find
        self._load = load

    def look(self) -> float:
        """Return how many seconds ago it was last used."""
        now = time.time()
        jupyter = self._find()
        environments = processes()
        if self._load.is_high(environments) or is_logged_in(environments):
            self.used = now
        self.used = max(self.used, jupyter.used_at(now) if jupyter else 0.0, self._kept())
        self.used = min(self.used, now)
        return now - self.used

    def _kept(self) -> float:
        """When the user last asked to keep it on."""
        with contextlib.suppress(OSError):
            return (self._folder / "keep-on").stat().st_mtime
        return 0.0


def ends_in(file: Path) -> list[str]:
    """When earlier runs were ended, from the last run's file, whose content may be anything."""
    try:
        told = json.loads(file.read_text("utf-8"))
        ends = [*told.get("ends", []), told.get("ended")]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
    return [each for each in ends if isinstance(each, str)][-MOST_ENDS:]


class Told:
    """`idle.json`: written in one step, when it changes."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self._folder = folder
        self._minutes = minutes
        self._ends = ends_in(folder / "idle.json")
        # There is no file until the run is first idle, except perhaps one of an earlier run, which does not apply here.
        self._last = "" if (folder / "idle.json").exists() else self._text(None, None)

    def _text(self, since: float | None, ended: float | None) -> str:
        times = {"idle_since": since, "ended": ended}
        texts = {name: None if value is None else text_of(value) for name, value in times.items()}
        return json.dumps({"minutes": self._minutes, **texts, "ends": self._ends}) + "\n"

    def __call__(self, since: float | None, ended: float | None = None) -> None:
        text = self._text(since, ended)
        if text != self._last:
            with contextlib.suppress(OSError):  # a full disk must not keep the machine running
                temporary = self._folder / ".idle.new"
                temporary.write_text(text, "utf-8")
                temporary.replace(self._folder / "idle.json")
                self._last = text


def judge(options: argparse.Namespace) -> None:
    """Check periodically and end the run when it has been idle for too long. Returns when the parent process ends."""
    limit = options.minutes * 60
    token = os.environ.get("RUN_QARNOT_APP_TOKEN", "")

    def find() -> Jupyter | None:
        return Jupyter(options.url, token) if options.url else find_jupyter(options.server, options.runtime)

    judging = Judge(limit, OURS, find, Load({os.getpid(), options.end, options.server}))
    tell = Told(OURS, options.minutes)
    tell(None)
    while waits(min(LOOK_SECONDS, limit / 6)):
        idle = judging.look()
        if idle >= limit:
            end(options, tell, judging.used)
            return
        tell(judging.used if idle >= limit * SAID_AFTER else None)


def waits(seconds: float) -> bool:
    """Wait; return whether the app still runs: our parent is the app, or ends with it."""
    until = time.monotonic() + seconds
    while os.getppid() == PARENT and time.monotonic() < until:
        time.sleep(min(0.5, seconds))
    return os.getppid() == PARENT


def end(options: argparse.Namespace, tell: Told, since: float) -> None:
    """Print the reason and end the run; the platform then saves `/job`."""
    tell(since, time.time())
    line = f"Run Qarnot: nobody has used it for {options.minutes:g} minutes, so it ends."
    print(line, flush=True)  # noqa: T201  this is a program
    with contextlib.suppress(OSError), (OURS.parent / "logs" / "qarnot.log").open("a", encoding="utf-8") as log:
        log.write(line + "\n")
    with contextlib.suppress(OSError):
        if options.state is not None:
            (options.state / "idle").touch()
        os.kill(options.end, signal.SIGTERM)
        if waits(PATIENCE_SECONDS):
            os.kill(options.end, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--end", type=int, required=True)  # who is asked to end, and the run with it
    parser.add_argument("--server", type=int, default=0)  # the Jupyter server, if there is one
    parser.add_argument("--url", default="")  # where it answers; its token is in the environment
    parser.add_argument("--runtime", type=Path, default=Path())  # or the folder where it says so
    parser.add_argument("--state", type=Path)  # of start.sh, which reads there that this was meant
    judge(parser.parse_args())


if __name__ == "__main__":
    main()
