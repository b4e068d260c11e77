"""What `/opt/start_jupyterlab.sh` of the `qarnotlab/jupyterlab-*` images does, for this machine.

Run by path, inside a task's process tree, never imported: it uses nothing but the standard library.

1. Makes the task's virtual environment, which sees all packages of this machine's environment.
2. Restores the packages named in `/job/requirements.txt`, if there is one ("continue from" an older session).
3. Starts JupyterLab, and writes its link into `/job/logs/qarnot.log` and stdout once it answers.
4. Keeps `requirements.txt` (what the user installed) and `requirements-full.txt` (all) up to date, until the end.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterable
from pathlib import Path

_WATCH_SECONDS = 1.0
_ANSWER_SECONDS = 0.05  # between two questions while JupyterLab starts; a refused connection costs nothing


class Log:
    """`logs/qarnot.log` and stdout, line by line."""

    def __init__(self, job: Path) -> None:
        (job / "logs").mkdir(exist_ok=True)
        self._path = job / "logs" / "qarnot.log"

    def __call__(self, line: str) -> None:
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)  # noqa: T201 - the output of the task


class Environment:
    """The task's virtual environment: the user's packages in it, this machine's packages behind it."""

    def __init__(self, folder: Path, sites: list[str]) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.packages = folder / "lib" / version / "site-packages"
        self._sites = sites

    def make(self) -> None:
        """Without pip of its own, which takes seconds to install: the parent's works on this environment too."""
        has_pip = importlib.util.find_spec("pip") is not None
        venv.EnvBuilder(with_pip=not has_pip, symlinks=True).create(self.folder)
        # addsitedir, not the bare path: the .pth files found there count as well (editable installs).
        lines = ["import site", *(f"site.addsitedir({path!r})" for path in self._sites)]
        (self.packages / "_parent.pth").write_text("; ".join(lines) + "\n")
        for name in ("pip", "pip3") if has_pip else ():
            wrapper = self.folder / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nexec "{self.python}" -m pip "$@"\n')
            wrapper.chmod(0o755)
        kernel = self.folder / "share" / "jupyter" / "kernels" / "python3"
        kernel.mkdir(parents=True)
        argv = [str(self.python), "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        about = {
            "argv": argv,
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "metadata": {"debugger": True},
        }
        (kernel / "kernel.json").write_text(json.dumps(about))

    def variables(self) -> dict[str, str]:
        """For everything that the user runs: JupyterLab's kernels and terminals."""
        path = f"{self.folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {
            **os.environ,
            "PATH": path,
            "VIRTUAL_ENV": str(self.folder),
            "JUPYTER_PATH": str(self.folder / "share" / "jupyter"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }

    def fingerprint(self) -> frozenset[tuple[str, int]]:
        """What changes when a package comes or goes; cheap enough for once a second."""
        with contextlib.suppress(OSError), os.scandir(self.packages) as entries:
            return frozenset(
                (entry.name, entry.stat().st_mtime_ns) for entry in entries if entry.name.endswith(".dist-info")
            )
        return frozenset()

    def requested(self) -> dict[str, str]:
        """Name → version of what the user asked for: pip leaves a file REQUESTED beside it."""
        found = importlib.metadata.distributions(path=[str(self.packages)])
        return _versions(each for each in found if each.read_text("REQUESTED") is not None)

    def everything(self) -> dict[str, str]:
        return _versions(importlib.metadata.distributions(path=[str(self.packages), *self._sites]))


def _versions(distributions: Iterable[importlib.metadata.Distribution]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for distribution in distributions:
        with contextlib.suppress(Exception):  # a half-written or damaged package of somebody else is not our end
            versions.setdefault(distribution.metadata["Name"], distribution.version)
    return versions


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class Requirements:
    """`requirements.txt` and `requirements-full.txt` in the job folder."""

    def __init__(self, job: Path, environment: Environment, log: Log) -> None:
        self._short = job / "requirements.txt"
        self._full = job / "requirements-full.txt"
        self._environment = environment
        self._log = log
        self._missing: list[str] = []  # lines that could not be restored: kept, or they would be lost for ever
        self._seen: object = None

    def restore(self) -> None:
        if not self._short.exists():
            return
        text = self._short.read_text("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
        if not lines:
            return
        self._log(f"Restoring {len(lines)} package(s) from requirements.txt")
        if self._install("-r", str(self._short)):
            return
        self._log("That failed; trying them one by one")
        for line in lines:
            if line.startswith("-") or not self._install(line):
                self._log(f"Could not restore: {line}")
                self._missing.append(line)

    def _install(self, *what: str) -> bool:
        command = [str(self._environment.python), "-m", "pip", "install", "--no-input", *what]
        process = subprocess.Popen(
            command,
            env=self._environment.variables(),
            cwd=self._short.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout
        for line in process.stdout:
            self._log(line.rstrip())
        return process.wait() == 0

    def refresh(self) -> None:
        """Write both files if a package came or went since the last time."""
        seen = self._environment.fingerprint()
        if seen == self._seen:
            return
        requested = self._environment.requested()
        lines = [f"{name}=={version}" for name, version in requested.items()]
        known = {_normal(name) for name in requested}
        lines += [line for line in self._missing if _normal(re.split(r"[^\w.-]", line)[0]) not in known]
        full = [f"{name}=={version}" for name, version in self._environment.everything().items()]
        with contextlib.suppress(OSError):  # a full disk or a deleted folder must not end the lab
            _write(self._short, lines)
            _write(self._full, full)
            self._seen = seen


def _write(path: Path, lines: list[str]) -> None:
    """Replace a file in one step: a snapshot taken meanwhile sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text("".join(f"{line}\n" for line in sorted(lines, key=str.casefold)), "utf-8")
    temporary.replace(path)


def start_lab(job: Path, port: int, environment: Environment, sites: list[str]) -> subprocess.Popen[bytes]:
    """The server runs in the parent's interpreter, where JupyterLab is; kernels and terminals in the task's own."""
    home = Path(os.environ["HOME"])
    variables = environment.variables()
    for name in ("CONFIG", "DATA", "RUNTIME"):
        variables[f"JUPYTER_{name}_DIR"] = str(home / "jupyter" / name.lower())
    code = f"import site; [site.addsitedir(path) for path in {sites!r}]; from jupyterlab.labapp import main; main()"
    options = {
        "ServerApp.root_dir": str(job),
        "ServerApp.preferred_dir": str(job),
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": str(port),
        "ServerApp.port_retries": "0",
        "ServerApp.open_browser": "False",
        "ServerApp.allow_root": "True",
        "ServerApp.allow_remote_access": "True",  # the tunnel's end may be called anything
        # Cookies ignore ports: two sessions open in one browser would sign each other out.
        "IdentityProvider.cookie_name": f"local-cluster-{port}",
        "LabApp.news_url": "None",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    command = [sys.executable, "-P", "-c", code, *(f"--{name}={value}" for name, value in options.items())]
    return subprocess.Popen(command, env=variables, cwd=job)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def wait_for_answer(lab: subprocess.Popen[bytes], port: int) -> bool:
    while lab.poll() is None:
        if answers(port):
            return True
        time.sleep(_ANSWER_SECONDS)
    return False


def show_link(log: Log, port: int) -> None:
    """The lines of Jupyter's own announcement. Clients take the second link that they find (§3.5)."""
    link = f"http://localhost:{port}/lab?token={os.environ['JUPYTER_TOKEN']}"
    log("Jupyter Server is running at:")
    log(link)
    log("    To access the server, copy and paste this URL in a browser:")
    log(f"        {link}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--shown-port", type=int, required=True)
    parser.add_argument("--site", action="append", default=[])
    options = parser.parse_args()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost," + os.environ.get("NO_PROXY", "")
    log = Log(options.job)
    log("Local cluster: no container is used here. JupyterLab of this machine plays the image.")
    environment = Environment(Path(os.environ["HOME"]) / "environment", options.site)
    environment.make()
    requirements = Requirements(options.job, environment, log)
    requirements.restore()
    lab = start_lab(options.job, options.port, environment, options.site)
    signal.signal(signal.SIGTERM, lambda *_: _end(lab))
    requirements.refresh()  # now, so that the very first snapshot has both files
    ready = wait_for_answer(lab, options.port)
    if ready:
        show_link(log, options.shown_port)
    while lab.poll() is None:
        requirements.refresh()
        with contextlib.suppress(subprocess.TimeoutExpired):
            lab.wait(_WATCH_SECONDS)
    requirements.refresh()
    if not ready:
        log(f"JupyterLab ended before it answered (exit code {lab.returncode})")
    return lab.returncode if lab.returncode >= 0 else 128 - lab.returncode


def _end(lab: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        lab.terminate()


if __name__ == "__main__":
    sys.exit(main())
