"""Runs that nobody uses end, in a container; with a real JupyterLab and a real SSH server."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.container import USER, Container, ssh_line
from support.jupyter import Jupyter
from support.ssh import running
from support.waiting import wait_until

from run_qarnot.bootstrap import BASE_URL, IDLE_MINUTES, attach, base_url_constants
from run_qarnot.model import idle

pytestmark = pytest.mark.slow

END = "Run Qarnot: nobody has used it for 0.2 minutes, so it ends.\n"
SHORT = {IDLE_MINUTES: "0.2"}


def told(container: Container) -> idle.Idle:
    return idle.read(container.read(idle.FILE).encode())


def is_idle(container: Container) -> bool:
    return told(container).since is not None


def test_jupyterlab_that_nobody_uses_ends_and_the_run_succeeds(container: Container, lab: Mapping[str, str]) -> None:
    container.start({**lab, **SHORT})
    container.wait_for(END, 60)
    assert container.wait() == 0
    assert "The app has ended with exit code 0." in container.output
    assert told(container).ended is not None
    assert container.output.count(END) == 1, "there is one judge"
    assert not any(lab["JUPYTER_TOKEN"] in line for line in container.output.splitlines() if "idle" in line)


def test_a_jupyterlab_that_the_image_starts_is_judged_too(container: Container, lab: Mapping[str, str]) -> None:
    """What counts is the configuration that travels with the inputs. A busy kernel keeps it on."""
    constants = {BASE_URL: lab[BASE_URL], **SHORT, **base_url_constants(lab[BASE_URL], "")}
    for upload in attach([], constants):
        (container.job / upload.key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(upload.path, container.job / upload.key)
    (container.job / "logs").mkdir()
    constants |= {"JUPYTER_TOKEN": lab["JUPYTER_TOKEN"]}
    command = f"python3 -m jupyterlab --ip=127.0.0.1 --port={container.port} --no-browser --allow-root"
    container.start(constants, command)
    jupyter = Jupyter(f"http://127.0.0.1:{container.port}{lab[BASE_URL]}lab?token={lab['JUPYTER_TOKEN']}")
    wait_until(jupyter.answers, "JupyterLab to answer", 60)
    assert jupyter.run("import time; time.sleep(15)") == "", "longer than it may be idle"
    container.wait_for(END, 60)
    assert container.wait() == 0


def test_an_app_that_is_no_jupyter_is_ended_and_its_run_succeeds(
    container: Container, batch: Mapping[str, str]
) -> None:
    command = "trap 'echo asked; exit 7' TERM; while :; do sleep 1; done"
    more = {"RUN_QARNOT_APP": "web", "RUN_QARNOT_SSH": "no", "RUN_QARNOT_COMMAND": command}
    container.start({**batch, **more, **SHORT})
    assert container.wait() == 0
    assert END in container.output
    assert "asked\n" in container.output


def test_a_login_keeps_a_machine_on_and_a_tunnel_does_not(
    container: Container, machine: Mapping[str, str], key: Path
) -> None:
    private = key.with_suffix("")
    container.start({**machine, **SHORT})
    container.wait_for("The SSH server answers")
    with running(shlex.join(ssh_line(container, private, USER.pw_name, "-N", "-L", "127.0.0.1:0:localhost:80"))):
        wait_until(lambda: is_idle(container), "it to be idle")
        with running(shlex.join(ssh_line(container, private, USER.pw_name, "sleep", "1000"))):
            wait_until(lambda: not is_idle(container), "the login to count")
        wait_until(lambda: is_idle(container), "it to be idle again")
        container.wait_for(END)
    assert container.wait() == 0


def test_without_python_it_says_that_it_does_not_stop(container: Container, machine: Mapping[str, str]) -> None:
    for name in ("python3", "python"):
        (container.image / "bin" / name).unlink()
        (container.image / "bin" / name).write_text("#!/bin/sh\nexit 127\n")
        (container.image / "bin" / name).chmod(0o755)
    container.start({**machine, **SHORT})
    container.wait_for("This image has no Python: what runs here does not end by itself when nobody uses it.")
