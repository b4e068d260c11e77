"""A file that was removed in a run does not come back in the next, in a container; with a real JupyterLab too.

The storage only ever grows: what it would bring back is put back into `/job` between two runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import pytest
import requests
from support.container import Container
from support.jupyter import Jupyter
from support.waiting import wait_until

from run_qarnot.bootstrap import BASE_URL, REMOVED, attach, base_url_constants
from run_qarnot.bootstrap.removed import names_in

pytestmark = pytest.mark.slow

SAID = "Run Qarnot: 2 file(s) that were removed in an earlier run do not come back.\n"


def give(container: Container, *names: str) -> None:
    for name in names:
        (container.job / name).parent.mkdir(exist_ok=True)
        (container.job / name).write_text(name)


def recorded(container: Container) -> set[str]:
    return names_in(container.read(REMOVED).encode())


def test_what_a_command_removes_is_gone_before_the_next_one_starts(
    container: Container, batch: Mapping[str, str]
) -> None:
    """Also what it removes at once, or just before its end, and the list of packages."""
    give(container, "at-once.txt", "folder/at-the-end.txt", "again.txt", "requirements.txt")
    command = "rm at-once.txt again.txt; sleep 2; echo new >again.txt; rm -r folder"
    assert container.run({**batch, "RUN_QARNOT_COMMAND": command}) == 0
    assert {"at-once.txt", "folder/at-the-end.txt"} <= recorded(container)
    assert "again.txt" not in recorded(container)

    give(container, "at-once.txt", "folder/at-the-end.txt")
    assert container.run({**batch, "RUN_QARNOT_COMMAND": "ls; cat again.txt"}) == 0
    assert SAID in container.output
    assert "at-once.txt" not in container.output.splitlines()
    assert "folder" not in container.output.splitlines()
    assert "new" in container.output.splitlines()
    assert {"at-once.txt", "folder/at-the-end.txt"} <= recorded(container), "it holds for the third run, too"


def test_what_is_removed_before_it_is_asked_to_end_is_on_the_record(
    container: Container, batch: Mapping[str, str]
) -> None:
    give(container, "old.txt")
    command = "rm old.txt; echo removed; while :; do sleep 0.05; done"
    container.start({**batch, "RUN_QARNOT_COMMAND": command})
    container.wait_for("removed\n")
    container.signal()
    assert container.wait() == 143
    assert "old.txt" in recorded(container)


def test_in_a_jupyterlab_that_the_image_starts_it_is_the_same(container: Container, lab: Mapping[str, str]) -> None:
    constants = {BASE_URL: lab[BASE_URL], **base_url_constants(lab[BASE_URL], "")}
    for upload in attach([], constants):
        (container.job / upload.key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(upload.path, container.job / upload.key)
    give(container, "one.txt", "two.txt", "logs/qarnot.log")
    constants |= {"JUPYTER_TOKEN": lab["JUPYTER_TOKEN"]}
    command = f"python3 -m jupyterlab --ip=127.0.0.1 --port={container.port} --no-browser --allow-root"
    jupyter = Jupyter(f"http://127.0.0.1:{container.port}{lab[BASE_URL]}lab?token={lab['JUPYTER_TOKEN']}")

    container.start(constants, command)
    wait_until(jupyter.answers, "JupyterLab to answer", 60)
    browser = requests.Session()
    assert browser.get(jupyter.address, timeout=20).status_code == 200
    jupyter.remove("one.txt")
    wait_until(lambda: recorded(container) == {"one.txt"}, "the record")
    jupyter.remove("two.txt")
    container.signal()
    assert container.wait() == 0
    assert recorded(container) == {"one.txt", "two.txt"}

    give(container, "one.txt", "two.txt", "kept.txt")
    container.start(constants, command)
    wait_until(jupyter.answers, "JupyterLab to answer", 60)
    assert {"one.txt", "two.txt", "kept.txt"} & set(jupyter.names()) == {"kept.txt"}
    page = browser.get(jupyter.address.partition("?")[0], timeout=20, allow_redirects=False)
    assert page.status_code == 200, "a tab that stayed open is still logged in"
    assert SAID in container.output
