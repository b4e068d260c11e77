"""What the containers of this folder are made from."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.container import Container, make_image
from support.ssh import make_key
from support.wheels import make_wheel

BASE_URL = "/rq-0123456789ab/"


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image's Python: an environment of its own, in which JupyterLab is found."""
    return make_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def bare_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image's Python with pip, and nothing else."""
    return make_image(tmp_path_factory.mktemp("bare"), only_pip=True)


@pytest.fixture
def container(image: Path, tmp_path: Path) -> Iterator[Container]:
    with Container(tmp_path, image) as container:
        yield container


@pytest.fixture
def bare(bare_image: Path, tmp_path: Path) -> Iterator[Container]:
    with Container(tmp_path, bare_image) as container:
        yield container


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public key in DOCKER_SSH; the private one is beside it."""
    return make_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        make_wheel(folder, "moo-of-the-test", version)
    make_wheel(folder, "bark-of-the-test", needs="dog-of-the-test")
    make_wheel(folder, "dog-of-the-test")
    server = "import sys, http.server\nport = [a.split('=')[1] for a in sys.argv if a.startswith('--port=')][0]\n"
    server += "http.server.ThreadingHTTPServer(('127.0.0.1', int(port)), http.server.SimpleHTTPRequestHandler)"
    files = {"jupyterlab/__init__.py": "", "jupyterlab/__main__.py": f"{server}.serve_forever()\n"}
    make_wheel(folder, "jupyterlab", "99", files)
    return folder


@pytest.fixture(scope="session")
def batch(key: Path) -> Mapping[str, str]:
    """The constants of a command, to which a test adds the command itself."""
    return {"RUN_QARNOT_START": "bundled", "RUN_QARNOT_APP": "batch"}


@pytest.fixture(scope="session")
def machine(key: Path) -> Mapping[str, str]:
    """The constants of a machine that is reached by SSH."""
    return {"RUN_QARNOT_START": "bundled", "RUN_QARNOT_APP": "ssh", "DOCKER_SSH": key.read_text()}


@pytest.fixture(scope="session")
def lab(key: Path, wheels: Path) -> Mapping[str, str]:
    """The constants of a JupyterLab, as a plan has them, and pip's settings: only our wheels."""
    return {
        "RUN_QARNOT_START": "bundled",
        "RUN_QARNOT_APP": "jupyterlab",
        "RUN_QARNOT_TOKEN_ENV": "JUPYTER_TOKEN",
        "RUN_QARNOT_OPEN_PATH": "/lab",
        "RUN_QARNOT_PROBE_PATH": "/api",
        "RUN_QARNOT_BASE_URL": BASE_URL,
        "JUPYTER_TOKEN": "token-of-the-test-0123456789",
        "DOCKER_SSH": key.read_text(),
        "PIP_FIND_LINKS": "/wheels",
        "PIP_NO_INDEX": "1",
    }
