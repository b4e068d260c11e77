"""What a task finds and leaves: its files, its constants, and those of its pool."""

from __future__ import annotations

import pytest
from qarnot.connection import Connection
from support.waiting import wait_until

from tests.cluster.conftest import command, ended, keys


@pytest.mark.parametrize("is_snapshot", [False, True])
def test_a_name_that_is_no_text_spoils_no_list(connection: Connection, is_snapshot: bool) -> None:
    name = f"latin-{is_snapshot}".lower()
    rest = "; echo started; sleep 60" if is_snapshot else ""
    task = command(connection, r'printf x > "$(printf "caf\351")"' + rest)
    task.results = connection.create_bucket(name)
    task.submit()
    if is_snapshot:
        wait_until(lambda: "started" in task.stdout(), "the file is there")
        snapshot = task.instant()
        wait_until(lambda: task.snapshot_status(snapshot)._status.is_completed, "it is saved")
        task.abort()
    ended(task)
    assert keys(task.results) == {"caf\ufffd"}
    assert task.uuid in {each.uuid for each in connection.all_tasks()}
