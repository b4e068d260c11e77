"""A whole session of an image that knows nothing of Qarnot: SSH, JupyterLab, packages, in a container."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from support.container import USER, Container, ssh_line
from support.jupyter import Jupyter
from support.ports import free_port
from support.ssh import make_key, running
from support.waiting import wait_until

from run_qarnot.bootstrap import BASE_URL, attach, base_url_constants
from run_qarnot.bootstrap.packages import split
from run_qarnot.engine.output import find_host_keys

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
        container.wait_for(f"http://localhost:{container.port}/rq-0123456789ab/lab?token=", 60)
        private, port = key.with_suffix(""), free_port()
        tunnel = ["-N", "-L", f"127.0.0.1:{port}:localhost:{container.port}"]
        with running(shlex.join(ssh_line(container, private, USER.pw_name, *tunnel))):
            address = f"http://127.0.0.1:{port}/rq-0123456789ab/lab?token={lab['JUPYTER_TOKEN']}"
            jupyter = Jupyter(address)
            wait_until(jupyter.answers, "JupyterLab to answer through SSH")
            yield Session(container, jupyter, address, private)


def test_jupyterlab_opens_with_our_token_and_with_no_other(session: Session) -> None:
    assert "requirements.txt" in session.jupyter.names(), "it shows /job"
    other = session.address.replace("token=", "token=x").replace("/lab?", "/api/contents?")
    assert requests.get(other, timeout=5).status_code == 403


def test_the_link_is_in_the_log_as_the_original_wrote_it(session: Session, lab: Mapping[str, str]) -> None:
    link = f"http://localhost:{session.container.port}/rq-0123456789ab/lab?token={lab['JUPYTER_TOKEN']}"
    log = session.container.read("logs/qarnot.log")
    assert [line.strip() for line in log.splitlines() if "/lab?token=" in line] == [link, link]
    assert session.container.output.count(lab["JUPYTER_TOKEN"]) == 2, "nowhere else"


def test_it_runs_under_its_base_url_and_a_reload_of_its_page_works(session: Session) -> None:
    page = requests.get(session.address, timeout=10)
    assert page.status_code == 200
    assert '"baseUrl": "/rq-0123456789ab/"' in page.text
    parts = urlsplit(session.address)
    assert requests.get(f"{parts.scheme}://{parts.netloc}/lab?{parts.query}", timeout=5).status_code == 404
    assert session.jupyter.run("print(6 * 7)") == "42\n"


def test_the_fingerprint_that_it_prints_is_that_of_its_ssh_server(session: Session) -> None:
    scan = ["ssh-keyscan", "-t", "ed25519", "-p", str(session.container.ssh_port), "127.0.0.1"]
    found = subprocess.run(scan, capture_output=True, text=True, timeout=20, check=True)
    known = subprocess.run(["ssh-keygen", "-lf", "-"], input=found.stdout, capture_output=True, text=True, check=True)
    assert find_host_keys(session.container.output) == {line.split()[1] for line in known.stdout.splitlines()}
    assert len(find_host_keys(session.container.output)) == 1


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
    assert receipt["restored"] == [{"name": "moo-of-the-test", "version": "1.0", "requested": True}]
    (missing,) = receipt["missing"]
    assert missing["requirement"] == "nothing-of-the-test>=3"
    assert "Could not find a version that satisfies the requirement" in missing["reason"]
    assert "nothing-of-the-test>=3 did not come back" in session.container.output


def test_the_lists_keep_what_the_user_wrote(session: Session) -> None:
    assert session.container.read("requirements.txt") == REQUIREMENTS
    assert "moo-of-the-test==1.0\n" in session.container.read("requirements-full.txt")


def test_the_lists_follow_what_the_user_does_and_her_own_text_stays(session: Session) -> None:
    def block_is(*lines: str) -> bool:
        own, block, _ = split(session.container.read("requirements.txt"))
        assert own == REQUIREMENTS
        return block == [*lines]

    full = partial(session.container.read, "requirements-full.txt")
    session.jupyter.run("!pip install --quiet bark-of-the-test moo-of-the-test==2.0")
    both = "bark-of-the-test==1.0", "moo-of-the-test==2.0"
    wait_until(lambda: block_is(*both), "both changes to be in requirements.txt")
    came_along = "dog-of-the-test==1.0\n"  # nobody asked for it
    wait_until(lambda: came_along in full(), "what came along to be in the full list")
    session.jupyter.run("!pip uninstall --quiet --yes moo-of-the-test bark-of-the-test")
    wait_until(lambda: block_is(), "the packages to go from requirements.txt")
    assert session.container.read("requirements.txt") == REQUIREMENTS
    wait_until(lambda: "moo-of-the-test" not in full(), "and from the full list")


def test_no_private_key_is_among_what_is_uploaded(session: Session) -> None:
    names = {path.relative_to(session.container.job).as_posix() for path in session.container.job.rglob("*.*")}
    assert not any("host_key" in name for name in names)
    for path in session.container.job.rglob("*"):
        assert path.is_dir() or b"PRIVATE KEY" not in path.read_bytes()


def test_jupyterlab_ends_gently_when_the_machine_is_taken_away(container: Container, lab: Mapping[str, str]) -> None:
    container.start(lab)
    container.wait_for(f"http://localhost:{container.port}/rq-0123456789ab/lab?token=", 60)
    assert not any(lab["JUPYTER_TOKEN"] in word for process in container.processes() for word in process.cmdline())
    container.signal(signal.SIGTERM)
    assert container.wait() == 0
    assert "received signal 15, stopping" in container.output
    assert "The app has ended with exit code 0." in container.output


def test_a_program_that_is_started_by_the_image_runs_under_the_base_url_too(
    container: Container, lab: Mapping[str, str]
) -> None:
    """Its own command says nothing of it: what counts is the configuration that travels with the inputs."""
    for upload in attach([], {BASE_URL: lab[BASE_URL]}):
        (container.job / upload.key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(upload.path, container.job / upload.key)
    settings = container.home / ".jupyter"
    settings.mkdir()
    theirs = {"ServerApp": {"base_url": "/of-the-image/", "port_retries": 0}}
    (settings / "jupyter_server_config.json").write_text(json.dumps(theirs))
    command = f"exec python3 -m jupyterlab --ip=127.0.0.1 --port={container.port} --no-browser --allow-root"
    more = {"RUN_QARNOT_COMMAND": command, "RUN_QARNOT_SSH": "no", **base_url_constants(lab[BASE_URL], "")}
    container.start({**lab, **more})
    container.wait_for(f"http://localhost:{container.port}/rq-0123456789ab/lab?token={lab['JUPYTER_TOKEN']}\n", 60)
    jupyter = Jupyter(f"http://127.0.0.1:{container.port}/rq-0123456789ab/lab?token={lab['JUPYTER_TOKEN']}")
    assert jupyter.answers()


def test_the_link_follows_a_program_that_does_not_use_the_base_url(
    container: Container, batch: Mapping[str, str]
) -> None:
    server = f"exec python3 -m http.server --bind 127.0.0.1 {container.port}"
    more = {
        "RUN_QARNOT_APP": "web",
        "RUN_QARNOT_SSH": "no",
        "RUN_QARNOT_OPEN_PATH": "/logs/",
        BASE_URL: "/rq-0123456789ab/",
    }
    container.start({**batch, **more, "RUN_QARNOT_COMMAND": server})
    container.wait_for(f"http://localhost:{container.port}/logs/\n")


def enter(session: Session, private: Path, command: str) -> tuple[int, str]:
    line = ssh_line(session.container, private, USER.pw_name, command)
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    return done.returncode, done.stdout
