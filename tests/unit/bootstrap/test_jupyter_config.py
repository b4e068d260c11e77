"""What the configuration of Jupyter starts beside the server that reads it; `run_qarnot.bootstrap.jupyter_config`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.waiting import wait_until

from run_qarnot import bootstrap

PROGRAM = "import json, os, sys\nopen('started', 'a').write(json.dumps([sys.argv[1:], os.getppid()]) + '\\n')"
SERVER = "import runpy, sys\nfor _ in range(2): runpy.run_path(sys.argv[1])\nsys.stdin.read()"


def server(folder: Path, **variables: str) -> subprocess.Popen[bytes]:
    """A process that reads the configuration, as Jupyter does: more than once."""
    place = folder / "jupyter" / "jupyter_server_config.py"
    place.parent.mkdir(exist_ok=True)
    shutil.copyfile(Path(bootstrap.__file__).with_name("jupyter_config.py"), place)
    (folder / "idle.py").write_text(PROGRAM)
    environment = {"PATH": os.environ["PATH"], "JUPYTER_RUNTIME_DIR": "/runtime", **variables}
    return subprocess.Popen([sys.executable, "-c", SERVER, place], cwd=folder, env=environment, stdin=subprocess.PIPE)


def test_it_starts_one_judge_of_this_server(tmp_path: Path) -> None:
    with server(tmp_path, RUN_QARNOT_IDLE_MINUTES="60") as running:
        wait_until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text(), "the judge")
    us = str(running.pid)
    wanted = [["--minutes", "60", "--end", us, "--server", us, "--runtime", "/runtime"], running.pid]
    assert [json.loads(line) for line in (tmp_path / "started").read_text().splitlines()] == [wanted]


def test_a_repository_is_brought_up_to_date_once_and_before_the_judge_starts(tmp_path: Path) -> None:
    (tmp_path / "update.py").write_text("open('updated', 'a').write('x')\n")
    with server(tmp_path, RUN_QARNOT_UPDATE="yes") as running:
        running.communicate(timeout=30)
    assert (tmp_path / "updated").read_text() == "x"
    with server(tmp_path) as running:
        running.communicate(timeout=30)
    assert (tmp_path / "updated").read_text() == "x", "nobody asked for it"


def test_where_it_is_never_to_end_or_is_judged_already_nothing_is_started(tmp_path: Path) -> None:
    for variables in ({}, {"RUN_QARNOT_IDLE_MINUTES": "60", "RUN_QARNOT_IDLE_JUDGED": "yes"}):
        with server(tmp_path, **variables) as running:
            running.communicate(timeout=30)
        assert running.returncode == 0
    assert not (tmp_path / "started").exists()
