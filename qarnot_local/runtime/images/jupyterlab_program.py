"""What `/opt/start_jupyterlab.sh` of the `qarnotlab/jupyterlab-*` images does, for this machine.

Run by path, inside a task's process tree, never imported: it uses nothing but the standard library.

1. Makes the task's virtual environment, which sees all packages of this machine's environment.
2. Restores the packages named in `/job/requirements.txt`, if there is one ("continue from" an older session).
3. Starts JupyterLab; its link goes to `/job/logs/qarnot.log` and stdout once it answers.
4. Has `requirements.txt` and `requirements-full.txt` kept up to date, until the end.

Of several machines with Dask, the first one starts the scheduler before 3, and the others work for it in place of 3 and
4. 2, 4 and Dask are the work of the programs that also do it in containers: what is tried here is what runs there.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path


class LaunchLog:
    """A file and stdout, line by line: `logs/qarnot.log`, or `logs/machine-N.log` of another machine than the first."""

    def __init__(self, job: Path, number: int) -> None:
        (job / "logs").mkdir(exist_ok=True)
        self.path = job / "logs" / (f"machine-{number}.log" if number else "qarnot.log")

    def __call__(self, line: str) -> None:
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as file:
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
        "LabApp.news_url": "None",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    command = [sys.executable, "-P", "-c", code, *(f"--{name}={value}" for name, value in options.items())]
    return subprocess.Popen(command, env=variables, cwd=job)


class Packages:
    """Keeps the lists of packages as the image does: by the program that does so in a container (§3.5).

    Arguments:
        program: its file. It is run by path, and by the Python whose packages it is about.
        job: the task's folder.
        log: the file for what it says.
        environment: the task's.
    """

    def __init__(self, program: Path, job: Path, log: Path, environment: Environment) -> None:
        self._state = environment.folder / "packages"
        self._state.mkdir()
        self._command = [str(environment.python), str(program)]
        self._places = ["--job", str(job), "--state", str(self._state), "--log", str(log)]
        self._job = job
        self._variables = environment.variables()

    def restore(self) -> None:
        """Install what `requirements.txt` names. Without one there is nothing to do, nor to wait for."""
        if (self._job / "requirements.txt").exists():
            command = [*self._command, "restore", *self._places]
            subprocess.run(command, env=self._variables, cwd=self._job, check=False)

    def keep(self, port: int, shown_port: int) -> subprocess.Popen[bytes]:
        """Say when JupyterLab answers, and keep the lists until `end`."""
        ports = ["--port", str(port), "--shown-port", str(shown_port), "--path", "/lab", "--probe", "/api"]
        ports += ["--base", os.environ.get("RUN_QARNOT_BASE_URL", "/")]
        variables = {**self._variables, "RUN_QARNOT_APP_TOKEN": os.environ["JUPYTER_TOKEN"]}
        return subprocess.Popen([*self._command, "keep", *self._places, *ports], env=variables, cwd=self._job)

    def end(self, keeper: subprocess.Popen[bytes]) -> None:
        """Have the lists written once more."""
        (self._state / "end").touch()  # a signal is lost that comes before a new process is its program
        _end(keeper)
        keeper.wait()


class Machines:
    """Connects the machines of a run as the image does: by the program that does so in a container.

    Arguments:
        options: of the command line.
        log: of this machine.
        environment: the task's.
    """

    def __init__(self, options: argparse.Namespace, log: LaunchLog, environment: Environment) -> None:
        options.share.mkdir(parents=True, exist_ok=True)
        self._file = environment.folder / "machines.env"
        places = ["--share", str(options.share), "--address", options.address]
        places += ["--log", str(log.path.with_name(f"machine-{options.number}.log"))]
        numbers = ["--number", str(options.number), "--count", str(options.count), "--workers", "1"]
        self._command = [str(environment.python), str(options.machines)]
        self._options = [*places, *numbers, "--variables", str(self._file)]
        self._variables = environment.variables()

    def lead(self) -> subprocess.Popen[bytes]:
        """Start the scheduler, and take over the variables of the notebooks once it answers."""
        leader = subprocess.Popen([*self._command, "lead", *self._options], env=self._variables)
        while not self._file.exists() and leader.poll() is None:
            time.sleep(0.05)
        for line in self._file.read_text().splitlines() if self._file.exists() else ():
            name, _, value = shlex.split(line)[1].partition("=")
            os.environ[name] = value
        return leader

    def work(self) -> int:
        """Work until the first machine ends."""
        worker = subprocess.Popen([*self._command, "work", *self._options], env=self._variables)
        signal.signal(signal.SIGTERM, lambda *_: _end(worker))
        return worker.wait()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--shown-port", type=int, required=True)
    parser.add_argument("--site", action="append", default=[])
    parser.add_argument("--machines", type=Path)
    parser.add_argument("--share", type=Path)
    parser.add_argument("--address", default="")
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    options = parser.parse_args()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost," + os.environ.get("NO_PROXY", "")
    log = LaunchLog(options.job, options.number)
    log("Local cluster: no container is used here. JupyterLab of this machine plays the image.")
    environment = Environment(Path(os.environ["HOME"]) / "environment", options.site)
    environment.make()
    packages = Packages(options.packages, options.job, log.path, environment)
    packages.restore()
    machines = Machines(options, log, environment) if options.machines else None
    if machines and options.number:
        return machines.work()
    leader = machines.lead() if machines else None
    lab = start_lab(options.job, options.port, environment, options.site)
    signal.signal(signal.SIGTERM, lambda *_: _end(lab))
    keeper = packages.keep(options.port, options.shown_port)
    code = lab.wait()
    if leader:
        _end(leader)
    packages.end(keeper)
    if leader:
        leader.wait()
    log(f"JupyterLab has ended with exit code {code}.")
    return code if code >= 0 else 128 - code


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.terminate()


if __name__ == "__main__":
    sys.exit(main())
