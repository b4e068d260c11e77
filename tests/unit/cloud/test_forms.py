"""What the switches change of a task as it is posted."""

from __future__ import annotations

from typing import Any

from run_qarnot.cloud.internals import task_form

ASKED: dict[str, Any] = {
    "resources": ["in"], "results": "out", "constants": {}, "labels": {}, "tags": [], "constraints": {},
    "scheduling": "",
}  # fmt: skip


def test_results_are_uploaded_on_cancellation_unless_the_switch_says_no() -> None:
    form = task_form("name", "docker-batch", 1, "short", "job", **ASKED)
    assert form["uploadResultsOnCancellation"] is True
    form = task_form("name", "docker-batch", 1, "short", "job", **ASKED, upload_on_cancel=False)
    assert form["uploadResultsOnCancellation"] is None
