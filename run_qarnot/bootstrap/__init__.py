"""The start script for images that know nothing of Qarnot: what travels with a session, and what it is told.

`start.sh` and `packages.py` beside this file run in the container, never here; `docs/start.md` is about them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from run_qarnot.catalog.apps import App
from run_qarnot.model.files import Upload

COMMAND = "sh /job/.run-qarnot/start.sh"

# Where they go in the inputs, and where they are.
FILES: Mapping[str, Path] = {
    f".run-qarnot/{name}": Path(__file__).with_name(name) for name in ("start.sh", "packages.py")
}

_REASON = re.compile(r"^(?:\d+> ?)?Run Qarnot cannot go on: (.+)$", re.MULTILINE)


def constants(app: App, command: str) -> dict[str, str]:
    """Return the task constants that have the script run, and tell it what to start.

    Arguments:
        app: the image's, in effect.
        command: the image's own, where it has one.
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


def attach(uploads: Sequence[Upload]) -> list[Upload]:
    """Return the uploads with the script among them; an older one, of an earlier session's results, gives way."""
    return [*(upload for upload in uploads if upload.key not in FILES), *(Upload(FILES[key], key) for key in FILES)]


def reason(output: str) -> str | None:
    """Return the sentence by which the script says why it ended, if there is one in a session's output."""
    found = _REASON.findall(output)
    return found[-1].strip() if found else None
