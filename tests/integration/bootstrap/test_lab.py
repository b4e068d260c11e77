"""A whole session of an image that knows nothing of Qarnot: SSH, JupyterLab, packages, in a container."""

from __future__ import annotations

import json
import shlex
import signal
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from support.container import USER, Container, ssh_line
from support.jupyter import Jupyter
from support.ports import free_port
from support.ssh import make_key, running
from support.waiting import wait_until

pytestmark = pytest.mark.slow

REQUIREMENTS = """# what I need
moo-of-the-test==1.0  # the cow
nothing-of-the-test>=3
"""


@dataclass(frozen=True)
class Session:
    container: Container
    jupyter: Jupyter
    address: str
    private: Path


@pytest.fixture(scope="module")
def session(
    image: Path, lab: Mapping[str, str], key: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    with Container(tmp_path_factory.mktemp("session"), image) as container:
        container.bind(wheels, "/wheels")
        (container.job / "requirements.txt").write_text(REQUIREMENTS)
        (container.job / "logs").mkdir()
        (container.job / "logs/qarnot.log").write_text("http://localhost:8888/lab?token=of-an-older-session\n")
        (container.home / ".ssh").mkdir(mode=0o777)
        (container.home / ".ssh/authorized_keys").write_text("ssh-ed25519 AAAA the-maker-of-the-image\n")
        container.start(lab)
        container.wait_for(f"http://localhost:{container.port}/lab?token=", 60)
        private, port = key.with_suffix(""), free_port()
        tunnel = ["-N", "-L", f"127.0.0.1:{port}:localhost:{container.port}"]
        with running(shlex.join(ssh_line(container, private, USER.pw_name, *tunnel))):
            address = f"http://localhost:{port}/lab?token={lab['JUPYTER_TOKEN']}"
            jupyter = Jupyter(address)
            wait_until(jupyter.answers, "JupyterLab to answer through SSH")
            yield Session(container, jupyter, address, private)


def test_jupyterlab_opens_with_our_token_and_with_no_other(session: Session) -> None:
    assert "requirements.txt" in session.jupyter.names(), "it shows /job"
    other = session.address.replace("token=", "token=x").replace("/lab?", "/api/contents?")
    assert requests.get(other, timeout=5).status_code == 403


def test_the_link_is_in_the_log_as_the_original_wrote_it(session: Session, lab: Mapping[str, str]) -> None:
    link = f"http://localhost:{session.container.port}/lab?token={lab['JUPYTER_TOKEN']}"
    log = session.container.read("logs/qarnot.log")
    assert [line.strip() for line in log.splitlines() if "/lab?token=" in line] == [link, link]
    assert session.container.output.count(lab["JUPYTER_TOKEN"]) == 2, "nowhere else"


def test_exactly_the_key_of_the_session_opens_it(session: Session, key: Path, tmp_path: Path) -> None:
    file = session.container.home / ".ssh/authorized_keys"
    assert file.read_text() == key.read_text()
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert enter(session, session.private, "pwd; id -un") == (0, f"{USER.pw_dir}\n{USER.pw_name}\n")
    other = make_key(tmp_path, "other").with_suffix("")
    assert enter(session, other, "pwd") == (255, "")


def test_no_password_is_even_asked_for(session: Session) -> None:
    line = ssh_line(session.container, session.private, USER.pw_name)
    line[1:1] = ["-v", "-o", "PubkeyAuthentication=no", "-o", "LogLevel=VERBOSE"]  # the first of an option counts
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    assert done.returncode == 255
    assert "Permission denied (publickey)." in done.stderr


def test_who_comes_in_by_ssh_finds_the_python_of_the_image(session: Session) -> None:
    assert enter(session, session.private, "command -v python3") == (0, "/image/bin/python3\n")


def test_packages_are_back_and_the_receipt_says_which_are_not(session: Session) -> None:
    assert session.jupyter.run("import moo_of_the_test; print(moo_of_the_test.version)") == "1.0\n"
    receipt = json.loads(session.container.read(".run-qarnot/receipt.json"))
    back = {"requirement": "moo-of-the-test==1.0", "name": "moo-of-the-test", "version": "1.0", "how": "installed"}
    assert receipt["restored"] == [back]
    (missing,) = receipt["missing"]
    assert missing["requirement"] == "nothing-of-the-test>=3"
    assert "Could not find a version that satisfies the requirement" in missing["reason"]
    assert "nothing-of-the-test>=3 did not come back" in session.container.output


def test_the_lists_keep_what_the_user_wrote(session: Session) -> None:
    assert session.container.read("requirements.txt") == REQUIREMENTS
    assert "moo-of-the-test==1.0\n" in session.container.read("requirements-full.txt")


def test_the_lists_follow_what_the_user_does(session: Session) -> None:
    container = session.container
    session.jupyter.run("!pip install --quiet bark-of-the-test moo-of-the-test==2.0")
    wanted = "# what I need\nmoo-of-the-test==2.0  # the cow\nnothing-of-the-test>=3\nbark-of-the-test==1.0\n"
    wait_until(lambda: container.read("requirements.txt") == wanted, "both changes to be in requirements.txt")
    came_along = "dog-of-the-test==1.0\n"  # nobody asked for it
    wait_until(lambda: came_along in container.read("requirements-full.txt"), "what came along to be in the full list")
    session.jupyter.run("!pip uninstall --quiet --yes moo-of-the-test")
    wanted = "# what I need\nnothing-of-the-test>=3\nbark-of-the-test==1.0\n"
    wait_until(lambda: container.read("requirements.txt") == wanted, "the package to go from requirements.txt")
    wait_until(lambda: "moo-of-the-test" not in container.read("requirements-full.txt"), "and from the full list")


def test_no_private_key_is_among_what_is_uploaded(session: Session) -> None:
    names = {path.relative_to(session.container.job).as_posix() for path in session.container.job.rglob("*.*")}
    assert not any("host_key" in name for name in names)
    for path in session.container.job.rglob("*"):
        assert path.is_dir() or b"PRIVATE KEY" not in path.read_bytes()


def test_jupyterlab_ends_gently_when_the_machine_is_taken_away(container: Container, lab: Mapping[str, str]) -> None:
    container.start({**lab, "RUN_QARNOT_IDLE_MINUTES": "30"})
    container.wait_for(f"http://localhost:{container.port}/lab?token=", 60)
    (server,) = (process for process in container.processes() if "jupyterlab" in process.cmdline())
    assert "--ServerApp.shutdown_no_activity_timeout=1800" in server.cmdline()
    assert "--MappingKernelManager.cull_idle_timeout=1800" in server.cmdline()
    assert not any(lab["JUPYTER_TOKEN"] in word for process in container.processes() for word in process.cmdline())
    container.signal(signal.SIGTERM)
    assert container.wait() == 0
    assert "received signal 15, stopping" in container.output
    assert "The app has ended with exit code 0." in container.output


def test_jupyterlab_that_nobody_uses_ends_and_the_session_with_it(container: Container, lab: Mapping[str, str]) -> None:
    """The longest of all tests: JupyterLab counts in minutes, and looks once a minute."""
    container.start({**lab, "RUN_QARNOT_IDLE_MINUTES": "1"})
    container.wait_for(f"http://localhost:{container.port}/lab?token=", 60)
    container.wait_for("No kernels for", 200)
    assert container.wait() == 0
    assert "The app has ended with exit code 0." in container.output


def enter(session: Session, private: Path, command: str) -> tuple[int, str]:
    line = ssh_line(session.container, private, USER.pw_name, command)
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    return done.returncode, done.stdout
