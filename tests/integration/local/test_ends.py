"""A task's end, when an abort or a deletion comes before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qarnot.connection import Connection
from qarnot.exceptions import MissingTaskException
from support.tasks import command, ended, running
from support.waiting import wait_until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control

pytestmark = pytest.mark.slow


@pytest.fixture
def control(cluster: LocalCluster) -> Iterator[Control]:
    yield cluster.control
    cluster.control.release()


def test_a_deleted_task_is_seen_as_such_until_it_is_gone(control: Control, connection: Connection) -> None:
    control.hold("PendingCancel")
    task = command(connection, "echo started; sleep 60")
    task.submit()
    running(task)
    found = connection.retrieve_task(task.uuid)
    task.delete()
    found.abort()
    assert found.state == "PendingDelete"
    states = {found.state}
    control.release()

    def gone() -> bool:
        try:
            found.update(True)
        except MissingTaskException:
            return True
        states.add(found.state)
        return False

    wait_until(gone, "it is gone")
    assert states == {"PendingDelete"}


def test_a_task_whose_upload_is_held_can_be_aborted(control: Control, connection: Connection) -> None:
    control.hold("UploadingResults")
    task = command(connection, "true")
    task.submit()
    wait_until(lambda: connection.retrieve_task(task.uuid).state == "UploadingResults", "its command ended")
    task.abort()
    assert ended(task) == "Cancelled"
