"""Files that are uploaded with a session and run in its container.

`start.sh`, `packages.py` and `machines.py` in this folder are for images without support for Qarnot; they run only in
the container (`docs/start.md`). `removed.py` keeps removed files from coming back, `idle.py` ends a run that nobody
uses, `update.py` updates a repository. The Jupyter configuration is for every image: where the image itself starts a
Jupyter server, it sets the base URL that a proxy needs (`reference/anywhere.md` §1) and starts these three programs.
Images without Jupyter do not read it.
"""

from __future__ import annotations

import json
import re
import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from run_qarnot.bootstrap import removed
from run_qarnot.catalog.apps import App
from run_qarnot.model.files import Upload

COMMAND = "sh /job/.run-qarnot/start.sh"

# Their keys in the inputs, and their paths here.
FILES: Mapping[str, Path] = {
    f".run-qarnot/{name}": Path(__file__).with_name(name)
    for name in ("start.sh", "packages.py", "removed.py", "idle.py", "machines.py")
}

BASE_URL, CONFIG_PATH = "RUN_QARNOT_BASE_URL", "JUPYTER_CONFIG_PATH"  # constants
IDLE_MINUTES = "RUN_QARNOT_IDLE_MINUTES"
CLUSTER = "RUN_QARNOT_CLUSTER"  # the framework that connects the machines of a run
REPOSITORY = "RUN_QARNOT_REPOSITORY"  # the folder of one that came along, in `/job`
UPDATE = "RUN_QARNOT_UPDATE"  # the run before whose app it is brought up to date by `update.py`
OPEN = "RUN_QARNOT_OPEN"  # what JupyterLab opens first, in `/job`
_CONFIG_FOLDER = ".run-qarnot/jupyter"
# Jupyter Server's, and that of the classic Notebook 6. `JUPYTER_CONFIG_PATH` wins over all other configuration in the
# image; only its command line wins over that, and then the app answers elsewhere.
_CONFIGS = {"jupyter_server_config.json": "ServerApp", "jupyter_notebook_config.json": "NotebookApp"}

_BESIDE_JUPYTER: Mapping[str, Path] = {
    **{f".run-qarnot/{name}": Path(__file__).with_name(name) for name in ("removed.py", "idle.py")},
    **{
        f"{_CONFIG_FOLDER}/{Path(name).with_suffix('.py')}": Path(__file__).with_name("jupyter_config.py")
        for name in _CONFIGS
    },
}

_UPDATER: Mapping[str, Path] = {".run-qarnot/update.py": Path(__file__).with_name("update.py")}

# What was removed in a session's runs, kept by `removed.py` among the results: it does not come back in the next run.
REMOVED = ".run-qarnot/removed.json"
REMOVED_BYTES = 1 << 24  # at most

# Everything that we add to the inputs, and that must not be copied from another session.
KEYS = frozenset({*FILES, *_BESIDE_JUPYTER, *_UPDATER, *(f"{_CONFIG_FOLDER}/{name}" for name in _CONFIGS), REMOVED})

_REASON = re.compile(r"^(?:\d+> ?)?Run Qarnot cannot go on: (.+)$", re.MULTILINE)


def constants(app: App, command: str) -> dict[str, str]:
    """Return the task constants that run the start script and tell it what to start.

    Arguments:
        app: the image's effective app.
        command: the image's own, if it has one.
    """
    told = {
        "RUN_QARNOT_START": "bundled",
        "RUN_QARNOT_APP": app.kind,
        "RUN_QARNOT_PORT": "" if app.port is None else str(app.port),
        "RUN_QARNOT_OPEN_PATH": "" if app.port is None else app.open_path,
        "RUN_QARNOT_PROBE_PATH": app.probe_path or "",
        "RUN_QARNOT_TOKEN_ENV": app.token_env or "",
        "RUN_QARNOT_COMMAND": command,
    }
    return {"DOCKER_CMD": COMMAND} | {name: value for name, value in told.items() if value}


def base_url_constants(base_url: str, config_path: str) -> dict[str, str]:
    """Return the task constants that set an app's base URL: by a file for Jupyter servers, by a variable for others.

    Arguments:
        base_url: with a slash at both ends.
        config_path: the image's own search path for Jupyter configuration.
    """
    ours = f"/job/{_CONFIG_FOLDER}"
    return {BASE_URL: base_url, CONFIG_PATH: f"{ours}:{config_path}" if config_path else ours}


def attach(uploads: Sequence[Upload], constants: Mapping[str, str]) -> list[Upload]:
    """Return the uploads, with the files that the constants need; these replace those of an earlier session.

    Raises:
        OSError: this computer has no space for a small file.
    """
    ours = dict(FILES) if constants.get("RUN_QARNOT_START") == "bundled" else {}
    if base_url := constants.get(BASE_URL):
        ours |= {f"{_CONFIG_FOLDER}/{name}": _config(app, base_url) for name, app in _CONFIGS.items()}
        ours |= _BESIDE_JUPYTER
    ours |= _UPDATER if constants.get(REPOSITORY) else {}
    return [*(upload for upload in uploads if upload.key not in KEYS), *(Upload(ours[key], key) for key in ours)]


def _config(app: str, base_url: str) -> Path:
    """Write the configuration of one program, containing only its base URL."""
    folder = Path(_folder().name, base_url.strip("/"))
    folder.mkdir(exist_ok=True)
    file = folder / app
    file.write_text(json.dumps({app: {"base_url": base_url}}) + "\n")
    return file


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """The folder for files this process creates for sessions; deleted when it ends."""
    return tempfile.TemporaryDirectory(prefix="run-qarnot-")


def write_removed(names: Iterable[str]) -> Upload:
    """Write a record of removed files, to be uploaded."""
    file = Path(_folder().name, f"removed-{secrets.token_hex(8)}.json")
    file.write_bytes(removed.record_of(names))
    return Upload(file, REMOVED)


def reason(output: str) -> str | None:
    """Return the reason that the script printed for its end, if a session's output contains one."""
    found = _REASON.findall(output)
    return found[-1].strip() if found else None


def prints_host_keys(constants: Mapping[str, str]) -> bool:
    """Whether a task runs our start script, which prints the fingerprints of its SSH host keys."""
    return constants.get("RUN_QARNOT_START") == "bundled"
