"""What the configuration of Jupyter starts beside the server that reads it; `run_qarnot.bootstrap.jupyter_config`."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.waiting import wait_until

from run_qarnot import bootstrap

PROGRAM = """
import json, os, signal, sys
print(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], os.getppid()]), file=open("started", "a"))
if "--ready" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(open("ended", "w").close()))
    open(sys.argv[-1], "w").write("yes")
    open("waits", "w").close()
    signal.pause()
"""
SERVER = """
import collections, runpy, sys, types
settings = collections.defaultdict(types.SimpleNamespace)
for _ in range(2): runpy.run_path(sys.argv[1], {"get_config": lambda: settings})
print({name: settings[name].__dict__ for name in sorted(settings)}, file=open("settings", "w"))
sys.stdin.read()
"""


def server(folder: Path, **variables: str) -> subprocess.Popen[bytes]:
    """A process that reads the configuration, as Jupyter does: more than once."""
    place = folder / "jupyter" / "jupyter_server_config.py"
    place.parent.mkdir(exist_ok=True)
    shutil.copyfile(Path(bootstrap.__file__).with_name("jupyter_config.py"), place)
    for name in ("idle.py", "removed.py", "update.py"):
        (folder / name).write_text(PROGRAM)
    environment = {"PATH": os.environ["PATH"], "JUPYTER_RUNTIME_DIR": "/runtime", **variables}
    return subprocess.Popen([sys.executable, "-c", SERVER, place], cwd=folder, env=environment, stdin=subprocess.PIPE)


def started(folder: Path) -> list[Any]:
    file = folder / "started"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_it_starts_each_program_once_and_has_the_record_written_at_the_end(tmp_path: Path) -> None:
    with server(tmp_path, RUN_QARNOT_IDLE_MINUTES="60") as running:
        wait_until(lambda: len(started(tmp_path)) == 2 and (tmp_path / "waits").exists(), "the programs")
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(10) == 0
    us, job = str(running.pid), str(tmp_path.parent)
    (keeper, options, parent), judge = started(tmp_path)
    assert (keeper, options[:2], parent) == ("removed.py", ["--job", job], running.pid)
    assert judge == ["idle.py", ["--minutes", "60", "--end", us, "--server", us, "--runtime", "/runtime"], running.pid]
    assert (tmp_path / "ended").exists()


def test_a_repository_is_brought_up_to_date_once_and_before_the_judge_starts(tmp_path: Path) -> None:
    with server(tmp_path, RUN_QARNOT_UPDATE="run-1", RUN_QARNOT_IDLE_MINUTES="60") as running:
        wait_until(lambda: len(started(tmp_path)) == 3, "the programs")
        running.communicate(timeout=30)
    assert [name for name, *_ in started(tmp_path)] == ["removed.py", "update.py", "idle.py"]


def test_where_it_is_never_to_end_there_is_no_judge(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        wait_until(lambda: (tmp_path / "waits").exists(), "the record to be kept")
        running.communicate(timeout=30)
    assert [name for name, *_ in started(tmp_path)] == ["removed.py"]


def test_where_our_programs_run_already_nothing_is_started(tmp_path: Path) -> None:
    with server(tmp_path, RUN_QARNOT_IDLE_MINUTES="60", RUN_QARNOT_ACCOMPANIED="yes") as running:
        running.communicate(timeout=30)
    assert running.returncode == 0
    assert started(tmp_path) == []


def test_the_secret_of_the_cookies_is_the_same_for_the_same_token(tmp_path: Path) -> None:
    found = []
    for token in ("one", "one", "two", ""):
        with server(tmp_path, RUN_QARNOT_ACCOMPANIED="yes", **({"JUPYTER_TOKEN": token} if token else {})) as running:
            running.communicate(timeout=30)
        found.append(ast.literal_eval((tmp_path / "settings").read_text()))
    first, again, other, none = found
    assert first == again
    assert first != other
    assert none == {}
    assert first.keys() == {"ServerApp", "NotebookApp"}
    assert all(len(each["cookie_secret"]) == 32 for each in first.values())


def test_whatever_is_wrong_with_them_the_server_starts(tmp_path: Path) -> None:
    with server(tmp_path, RUN_QARNOT_IDLE_MINUTES="60") as running:
        (tmp_path / "removed.py").unlink()
        running.communicate(timeout=30)
    assert running.returncode == 0
