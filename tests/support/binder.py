"""Binder without docker: what repo2docker would run for this repository, run in an environment like Binder's own.

repo2docker says which steps it would put into the image and which packages its base image has; both are done here in a
folder (`reference/binder.md` §8). Not tried: the system packages of the image, and mybinder.org's network.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import repo2docker
from repo2docker.app import Repo2Docker

from support.ports import free_port
from support.repository import ROOT
from support.supervised import Supervised

MEMORY_LIMIT = 2 * 2**30  # of mybinder.org
REQUEST = "v2/gh/qarnot/run-qarnot/v1"
# mybinder.org mounts this at /etc/jupyter (its `values.yaml`, `etcJupyter`).
_ETC_JUPYTER = {
    "ServerApp": {"tornado_settings": {"trust_xheaders": True}, "shutdown_no_activity_timeout": 600},
    "MappingKernelManager": {"cull_idle_timeout": 600, "cull_interval": 60, "cull_connected": True},
}
# In the place of the launcher that BinderHub runs; it reads /etc/jupyter, which stands in another folder here.
_LAUNCH = """
import sys
import jupyter_core.paths
jupyter_core.paths.SYSTEM_CONFIG_PATH[:] = [sys.argv.pop(1)]
from jupyterlab.labapp import main
sys.exit(main())
"""
_KEPT = re.compile(r"PIP_.*|SSL_.*|REQUESTS_CA_BUNDLE|HTTPS?_PROXY|NO_PROXY", re.IGNORECASE)
# Conda's packages that are none of pip's, and those that have another name there.
_NOT_PIP = re.compile(
    r"_|lib|ld_|(python|python_abi|tk|zstd|openssl|yaml|zeromq|typing_utils|typing-extensions)$|zlib|bzip2|ncurses|readline|xz"
    r"|nodejs|icu|krb5|keyutils|ca-certificates|c-ares|nghttp2|cpp|tzdata|jupyterhub-singleuser|jsonschema-with|bleach-with"
)
_PIP_NAMES = {
    "jupyterhub-base": "jupyterhub",
    "nbconvert-core": "nbconvert",
    "python-fastjsonschema": "fastjsonschema",
    "brotli-python": "Brotli",
    "stack_data": "stack-data",
}


@dataclass(frozen=True)
class Image:
    """What repo2docker would build: `home` is both the home folder and the repository, `prefix` the environment."""

    home: Path
    prefix: Path
    environment: dict[str, str]

    @property
    def python(self) -> Path:
        return self.prefix / "bin" / "python"

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a step of the build."""
        return subprocess.run(
            ["bash", "-c", command], cwd=self.home, env=self.environment, capture_output=True, text=True, check=False
        )


def build(folder: Path) -> tuple[Image, list[subprocess.CompletedProcess[str]]]:
    """Build what Binder would; return it and how its steps ended."""
    home, prefix = folder / "home", folder / "env"
    _copy_repository(home)
    _make_base(prefix)
    environment = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)} | {
        "HOME": str(home), "REPO_DIR": str(home), "USER": "jovyan", "NB_USER": "jovyan", "LANG": "C.UTF-8",
        "NB_PYTHON_PREFIX": str(prefix), "KERNEL_PYTHON_PREFIX": str(prefix), "CONDA_DIR": str(folder),
        "PATH": f"{prefix}/bin:/usr/local/bin:/usr/bin:/bin", "PIP_NO_COMPILE": "1", "TMPDIR": str(folder / "tmp"),
    }  # fmt: skip
    (folder / "tmp").mkdir()
    image = Image(home, prefix, environment)
    return image, [image.run(step) for step in steps(home)]


def steps(home: Path) -> list[str]:
    """Return what repo2docker would run in a repository as its user, in order."""
    with contextlib.chdir(home):
        packs = [pack(base_image="image") for pack in Repo2Docker().buildpacks]
        pack = next(pack for pack in packs if pack.detect())
        pack.platform = "linux/amd64"
        assert pack.python_version == (home / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
        assert pack.get_start_script() is None
        scripts = [*pack.get_preassemble_scripts(), *pack.get_assemble_scripts()]
        assert {user for user, _ in scripts} == {"${NB_USER}"}, "nothing is done as root"
        cached = [step.replace(" --no-cache-dir", "") for _, step in scripts]  # the same packages, sooner
        return cached + [f"chmod +x {path} && ./{path}" for path in pack.get_post_build_scripts()]


def _copy_repository(home: Path) -> None:
    """Copy what a clone would have: no file that git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, home / name)


def _make_base(prefix: Path) -> None:
    """Make an environment with the packages of Binder's base image, by its own list of them."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    command = [sys.executable, "-m", "pip", "--python", str(prefix / "bin" / "python"), "install"]
    options = ["--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*command, *options, *base_packages()], check=True)


def base_packages() -> list[str]:
    """Return what the lock file of repo2docker for this Python names, as requirements of pip."""
    machine = "linux-aarch64" if platform.machine() == "aarch64" else "linux-64"
    name = f"environment.py-{sys.version_info[0]}.{sys.version_info[1]}-{machine}.lock"
    lock = Path(repo2docker.__file__).parent / "buildpacks" / "conda" / name
    found = []
    for line in lock.read_text().splitlines():
        if line.startswith("http"):
            file = re.sub(r"\.(conda|tar\.bz2)$", "", line.rpartition("/")[2].partition("#")[0])
            package, version, _ = file.rsplit("-", 2)
            if not _NOT_PIP.match(package):
                found.append(f"{_PIP_NAMES.get(package, package)}=={version}")
    return found


class Server(Supervised):
    """A server of an image, started as BinderHub starts it. `url` ends with a slash; visitors come with `token`."""

    def __init__(self, image: Image, **environment: str) -> None:
        self.image, self.token = image, secrets.token_urlsafe(16)
        port, prefix = free_port(), f"/user/qarnot-run-qarnot-{secrets.token_hex(4)}/"
        self.url = f"http://127.0.0.1:{port}{prefix}"
        etc = image.home.parent / "etc"
        etc.mkdir(exist_ok=True)
        (etc / "jupyter_server_config.json").write_text(json.dumps(_ETC_JUPYTER))
        options = {
            "base_url": prefix, "token": self.token, "trust_xheaders": "True", "allow_origin": "*",
            "allow_origin_pat": ".*",
        }  # fmt: skip
        both = [f"--{app}.{name}={value}" for app in ("NotebookApp", "ServerApp") for name, value in options.items()]
        root = ["--allow-root"] if os.geteuid() == 0 else []
        variables = {
            "BINDER_LAUNCH_HOST": "https://mybinder.org/", "BINDER_REQUEST": REQUEST,
            "BINDER_PERSISTENT_REQUEST": REQUEST, "BINDER_REF_URL": "https://github.com/qarnot/run-qarnot/tree/v1",
            "BINDER_REPO_URL": "https://github.com/qarnot/run-qarnot", "BINDER_CLIENT_IP": "192.0.2.7",
            "JUPYTERHUB_SERVICE_PREFIX": prefix, "JUPYTERHUB_BASE_URL": "/", "JUPYTERHUB_USER": prefix.split("/")[2],
            "JUPYTERHUB_API_TOKEN": "a-token-of-the-hub", "MEM_LIMIT": str(MEMORY_LIMIT), "CPU_LIMIT": "1.0",
        }  # fmt: skip
        super().__init__(
            [image.python, "-c", _LAUNCH, etc, "--ip=127.0.0.1", f"--port={port}", "--no-browser", *root, *both],
            image.home,
            image.environment | variables | environment,
            image.home.parent / "log",
            f"{self.url}api",
        )

    def address(self, path: str) -> str:
        """Where Binder leads whoever opens a badge with this `urlpath`."""
        return f"{self.url}{path}{'&' if '?' in path else '?'}token={quote(self.token)}"

    def memory(self) -> int:
        """Bytes that the container has taken: what processes share counts once."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total


@contextlib.contextmanager
def running(image: Image, **environment: str) -> Iterator[Server]:
    """Run a server for the block."""
    server = Server(image, **environment)
    try:
        server.wait()
        yield server
    finally:
        server.end()
