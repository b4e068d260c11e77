"""The environment variables of a task's processes (§3.3), built from an allow-list."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from qarnot_local.runtime.commands import in_place
from qarnot_local.runtime.images import programs
from qarnot_local.runtime.tasks import Task

_ALLOWED = {"PATH", "LANG", "TZ", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SYSTEMROOT"}
_ALLOWED |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"}
_ALLOWED_BEGINNINGS = ("LC_", "PIP_", "SSL_CERT_")
_CREDENTIALS = re.compile(r"//[^/\s]*@|(^|\s)[^/\s]*:[^/\s]*@")  # in an address; those of proxies may lack `http://`


def task_environment(
    task: Task, instance: int, job: Path, home: Path, caller: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Variables for an instance of a task: an allow-list of the caller's, then constants, then the platform's own.

    A secret of the caller (its Qarnot token, above all) is in none of them: a task may print them all.
    """
    source = os.environ if caller is None else caller
    kept = {name: value for name, value in source.items() if _may_see(name, value)}
    temporary = str(home / "tmp")
    return {
        **kept,
        "PATH": os.pathsep.join([str(programs.folder(home)), kept.get("PATH") or os.defpath]),
        "HOME": str(home),
        "TMPDIR": temporary,
        "SHELL": "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh",
        **{name: _value(name, value, job) for name, value in task.constants.items() if _can_be_set(name, value)},
        **instance_variables(task, instance),
        "TASK_PATH": str(job),
        "QARNOT_RESOURCES_DIRECTORY": str(job),
        "QARNOT_RESULTS_DIRECTORY": str(job),
        "TMP_PATH": temporary,
        "TMP_RAMFS_PATH": temporary,
    }


def _can_be_set(name: str, value: str) -> bool:
    return "\0" not in value and "=" not in name


def _value(name: str, value: str, job: Path) -> str:
    """Return the value of a constant. `/job` in variables of paths is replaced by its folder on this machine."""
    return in_place(value, "/job", job) if name.endswith(("_PATH", "_DIR")) else value


def _may_see(name: str, value: str) -> bool:
    is_allowed = name in _ALLOWED or name.startswith(_ALLOWED_BEGINNINGS)
    return is_allowed and not _CREDENTIALS.search(value)


def instance_variables(task: Task, instance: int) -> dict[str, str]:
    """Return number and count of the instances. FRAME_ID, QRANK and QSIZE are old aliases."""
    count = str(len(task.instances) or 1)
    return {
        "INSTANCE_ID": str(instance),
        "INSTANCE_COUNT": count,
        "FRAME_ID": str(instance),
        "QRANK": str(instance),
        "QSIZE": count,
    }
