"""What the start script does with apps of all kinds, how it ends, and where it refuses to work."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from support.container import USER, Container, ssh_line
from support.waiting import wait_until

from run_qarnot.bootstrap import COMMAND, FILES, reason
from run_qarnot.bootstrap.packages import split

pytestmark = pytest.mark.slow

Constants = Mapping[str, str]
SCRIPT = FILES[".run-qarnot/start.sh"]
REFUSED = 78


# — where it works, and where it does not —


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_refuses_to_work_on_this_machine(tmp_path: Path, machine: Constants) -> None:
    """Started as a mistaken command would: with all constants, but not in a container."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **machine, "RUN_QARNOT_CONTAINER": "yes"}
    done = subprocess.run(["sh", SCRIPT], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == REFUSED
    assert "works in a container of its own only. Nothing was changed." in (reason(done.stderr) or "")
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"RUN_QARNOT_START": ""}, "RUN_QARNOT_START"),
        ({}, "nothing here looks like a container"),
    ],
)
def test_it_refuses_without_being_told_and_without_a_sign_of_a_container(
    container: Container, machine: Constants, changes: Constants, said: str
) -> None:
    assert container.run({**machine, **changes}, first=False) == REFUSED
    assert said in (reason(container.output) or "")
    assert not (container.home / ".ssh").exists()
    assert [path.name for path in container.job.iterdir()] == [".run-qarnot"]


def test_it_refuses_from_another_place_than_its_own(container: Container, machine: Constants) -> None:
    shutil.copytree(container.job / ".run-qarnot", container.job / "copy")
    assert container.run(machine, "sh /job/copy/start.sh") == REFUSED
    assert not (container.home / ".ssh").exists()


def test_the_catalog_can_say_that_it_is_a_container(container: Container, batch: Constants) -> None:
    more = {"RUN_QARNOT_CONTAINER": "yes", "RUN_QARNOT_COMMAND": "true"}
    assert container.run({**batch, **more}, first=False) == 0


def test_a_job_folder_that_cannot_be_written_is_said(container: Container, batch: Constants) -> None:
    container.bind(container.job, "/job")
    assert container.run({**batch, "RUN_QARNOT_COMMAND": "true"}) == REFUSED
    assert "may not write in /job" in (reason(container.output) or "")
    assert "DOCKER_USER" in (reason(container.output) or "")


# — apps, and their ends —


@pytest.mark.parametrize(("shell", "code"), [("sh", 0), ("sh", 7), ("bash --posix", 7)])
def test_it_ends_when_the_app_does_and_with_its_exit_code(
    container: Container, batch: Constants, shell: str, code: int
) -> None:
    constants = {**batch, "RUN_QARNOT_COMMAND": f"echo $INSTANCE_ID; exit {code}", "INSTANCE_ID": "31"}
    assert container.run(constants, COMMAND.replace("sh", shell, 1)) == code
    assert "31\n" in container.output
    assert container.read("logs/machine-31.log").endswith(f"The app has ended with exit code {code}.\n")


def test_an_app_that_says_nothing_of_what_to_run(container: Container, batch: Constants) -> None:
    assert container.run({**batch, "RUN_QARNOT_APP": "web", "RUN_QARNOT_SSH": "no"}) == REFUSED
    assert "an app of the kind 'web' needs a command" in (reason(container.output) or "")


def test_a_web_application_gets_its_link_into_the_log(container: Container, batch: Constants) -> None:
    server = f"exec python3 -m http.server --bind 127.0.0.1 {container.port}"
    more = {"RUN_QARNOT_APP": "web", "RUN_QARNOT_SSH": "no", "RUN_QARNOT_OPEN_PATH": "/logs/"}
    container.start({**batch, **more, "RUN_QARNOT_COMMAND": server})
    container.wait_for(f"http://localhost:{container.port}/logs/\n")
    container.signal()
    assert container.wait() == 143


def test_a_repository_is_brought_up_to_date_before_the_app_starts(container: Container, batch: Constants) -> None:
    shutil.copy(SCRIPT.with_name("update.py"), container.job / ".run-qarnot")
    assert container.run({**batch, "RUN_QARNOT_UPDATE": "run-1", "RUN_QARNOT_COMMAND": "echo app"}) == 0
    said = "Run Qarnot: no repository came along with this session.\n"
    assert container.output.index(said) < container.output.index("app\n")
    assert said in container.read("logs/qarnot.log")


def test_when_it_is_asked_to_end_the_lists_are_written_before_the_app_is_asked(
    container: Container, batch: Constants, wheels: Path
) -> None:
    container.bind(wheels, "/wheels")
    app = """
        trap 'cp requirements.txt found-at-the-end.txt; exit 5' TERM
        pip install --quiet --no-index --find-links /wheels bark-of-the-test
        echo installed
        while :; do sleep 0.05; done"""
    container.start({**batch, "RUN_QARNOT_COMMAND": app})
    container.wait_for("installed\n")
    container.signal()
    assert container.wait() == 5
    assert split(container.read("found-at-the-end.txt")).block == ["bark-of-the-test==1.0"]
    assert "It was asked to end." in container.output


def test_an_app_that_will_not_end_is_killed_with_its_children(container: Container, batch: Constants) -> None:
    app = "trap '' TERM; (while :; do sleep 0.05; done) & echo started; while :; do sleep 0.05; done"
    container.start({**batch, "RUN_QARNOT_COMMAND": app, "RUN_QARNOT_GRACE_SECONDS": "1"})
    container.wait_for("started\n")
    family = container.processes()
    container.signal(signal.SIGINT)
    assert container.wait() == 137
    wait_until(lambda: not any(map(psutil.Process.is_running, family)), "all its processes to be gone")


@pytest.mark.parametrize("shell", ["dash", "bash --posix"])
def test_the_children_of_an_app_are_asked_to_end_too(container: Container, batch: Constants, shell: str) -> None:
    """As are the workers of a server: the signal goes to the process group, and not to its first process alone."""
    child = "(trap 'echo the child was asked; exit' TERM; echo started; while :; do sleep 0.05; done) &"
    app = f"{child} trap 'wait; exit 5' TERM; wait"
    container.start({**batch, "RUN_QARNOT_COMMAND": app}, COMMAND.replace("sh", shell, 1))
    container.wait_for("started\n")
    container.signal()
    assert container.wait() == 5
    assert "the child was asked\n" in container.output


def test_asked_to_end_while_it_is_still_preparing_it_does_so_at_once(container: Container, lab: Constants) -> None:
    hide_sshd(container)
    container.bind(program(container, "echo busy >/job/busy; exec sleep 1000"), "/usr/bin/apt-get")
    container.start(lab)
    wait_until(lambda: container.read("busy"), "the installation to be under way")
    container.signal()
    assert container.wait() == 143
    assert "It was asked to end before the app was started." in container.read("logs/qarnot.log")


# — what is missing —


def test_jupyterlab_is_installed_where_it_is_missing(bare: Container, lab: Constants, wheels: Path) -> None:
    bare.bind(wheels, "/wheels")
    bare.start({**lab, "RUN_QARNOT_SSH": "no"})
    bare.wait_for(f"http://localhost:{bare.port}/rq-0123456789ab/lab?token={lab['JUPYTER_TOKEN']}")
    assert "This image has no JupyterLab; installing it." in bare.output
    assert bare.read("requirements.txt") == "", "it was not the user who installed it"
    assert "jupyterlab==99" in bare.read("requirements-full.txt")


def test_jupyterlab_that_cannot_be_installed_is_said_with_its_reason(bare: Container, lab: Constants) -> None:
    assert bare.run({**lab, "RUN_QARNOT_SSH": "no"}) == REFUSED
    said = reason(bare.output) or ""
    assert "could not be installed: ERROR: No matching distribution found for jupyterlab" in said
    assert '"network"' in said


def test_an_image_without_python_can_still_run_a_command(
    container: Container, batch: Constants, lab: Constants
) -> None:
    for name in ("python3", "python"):
        (container.image / "bin" / name).unlink()
        shutil.copy(program(container, "exit 127"), container.image / "bin" / name)
    assert container.run({**batch, "RUN_QARNOT_COMMAND": "echo done"}) == 0
    assert "done\n" in container.output
    assert container.run({**lab, "RUN_QARNOT_SSH": "no"}) == REFUSED
    assert "this image has no Python" in (reason(container.output) or "")


def test_an_ssh_server_is_installed_where_it_is_missing(container: Container, machine: Constants) -> None:
    hide_sshd(container)
    container.bind(
        program(container, "cp /real/sshd /usr/local/sbin/sshd; echo $0 $* >>/job/calls"), "/usr/bin/apt-get"
    )
    container.start(machine)
    container.wait_for(f"The SSH server answers on port {container.ssh_port}; log in as {USER.pw_name}.")
    assert container.read("calls") == (
        "/usr/bin/apt-get update -qq\n/usr/bin/apt-get install -qq -y --no-install-recommends openssh-server\n"
    )


def test_an_ssh_server_that_cannot_be_installed_is_said(container: Container, machine: Constants) -> None:
    hide_sshd(container)
    container.bind(
        program(container, "echo 'Unable to locate package openssh-server' >&2; exit 100"), "/usr/bin/apt-get"
    )
    assert container.run(machine) == REFUSED
    assert "apt-get could not install it: Unable to locate package openssh-server" in container.output
    assert "could not be installed (tried: apt-get)" in (reason(container.output) or "")


def test_a_port_for_ssh_that_is_taken_is_said(container: Container, machine: Constants) -> None:
    with socket.create_server(("127.0.0.1", container.ssh_port)):
        assert container.run(machine) == REFUSED
    assert "Address already in use" in (reason(container.output) or "")


@pytest.mark.parametrize("text", ["", "nonsense", 'command="rm -rf /" ssh-ed25519 AAAA me'])
def test_without_a_key_nobody_could_come_in_and_it_says_so(container: Container, machine: Constants, text: str) -> None:
    assert container.run({**machine, "DOCKER_SSH": text}) == REFUSED
    assert "no public SSH key in the constant DOCKER_SSH" in (reason(container.output) or "")
    assert not (container.home / ".ssh").exists()


def test_a_machine_stays_until_it_is_asked_to_end(container: Container, machine: Constants) -> None:
    container.start(machine)
    wait_until(lambda: container.read("requirements-full.txt"), "the lists of packages")
    container.signal()
    assert container.wait() == 0
    assert "The app has ended" in container.output


# — a user who is not root, as in many images —


def test_a_user_who_is_not_root_can_be_reached_too(container: Container, machine: Constants, key: Path) -> None:
    container.start({**machine, **as_jovyan(container)})
    container.wait_for("log in as jovyan.")
    line = ssh_line(container, key.with_suffix(""), "jovyan", "id -un; stat -c %a .ssh/authorized_keys")
    assert subprocess.run(line, capture_output=True, text=True, check=False).stdout == "jovyan\n600\n"


def test_but_not_at_a_port_that_only_root_may_open_and_it_says_what_to_do(
    container: Container, machine: Constants
) -> None:
    container.bindings.append("--unshare-net")  # where the kernel's own limit holds
    assert container.run({**machine, **as_jovyan(container), "RUN_QARNOT_SSH_PORT": "22"}) == REFUSED
    said = reason(container.output) or ""
    assert "Permission denied" in said
    assert 'Set DOCKER_USER = "root" among the constants of the image.' in said


def as_jovyan(container: Container) -> Constants:
    """Have the container's user be `jovyan`, whose home a group may write to; returns the constants for that."""
    users = container.job.with_name("passwd")
    users.write_text("root:x:0:0:root:/root:/bin/sh\njovyan:x:1000:1000::/home/jovyan:/bin/sh\n")
    home = container.job.with_name("jovyan")
    home.mkdir()
    home.chmod(0o775)
    container.bind(users, "/etc/passwd")
    container.bindings += ["--bind", str(home), "/home/jovyan", "--unshare-user", "--uid", "1000", "--gid", "1000"]
    return {"HOME": "/home/jovyan"}


def program(container: Container, text: str) -> Path:
    """A shell program to be put in the place of another."""
    path = container.job.with_name(f"program-{len(text)}")
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def hide_sshd(container: Container) -> None:
    """Have it there as `/real/sshd` only, and a place where it can be installed."""
    container.bind(Path("/usr/sbin/sshd"), "/real/sshd")
    container.bindings += ["--ro-bind", "/dev/null", "/usr/sbin/sshd", "--tmpfs", "/usr/local/sbin"]
