"""The part of a plan that plugins may change, and the way back into the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from run_qarnot.catalog.image import Image
from run_qarnot.hooks.prepare import UnusableError, draft_of, plan_of, reserved
from run_qarnot.model.plan import TAG, TaskPlan, make_plan
from run_qarnot.model.spec import SessionSpec

SPEC = SessionSpec(image=Image(id="base", tag="v1", constants={"A": "1"}), name="calm-heron-42", hours=4)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def plan() -> TaskPlan:
    return make_plan(SPEC, launch_id="rq-1", token="token", profiles=list(SPEC.image.profile), version="1", now=NOW)


def test_what_nobody_changes_comes_back_as_it_was(plan: TaskPlan) -> None:
    assert plan_of(draft_of(plan, SPEC), plan, SPEC) == plan


def test_a_draft_shows_neither_our_tag_nor_our_buckets_nor_what_lets_somebody_in(plan: TaskPlan) -> None:
    draft = draft_of(plan, SPEC)
    assert draft.constants["A"] == "1"
    assert not reserved(SPEC) & draft.constants.keys()
    assert reserved(SPEC) & plan.constants.keys()
    assert TAG not in draft.tags
    assert draft.buckets == []


def test_changes_become_constants_buckets_and_limits(plan: TaskPlan) -> None:
    draft = draft_of(plan, SPEC)
    draft = replace(draft, constants={"B": True, "C": 1.5}, buckets=["data", "data"], hours=0.5, snapshot_minutes=2.5)
    changed = plan_of(draft, plan, SPEC)
    assert {name: changed.constants.get(name) for name in "ABC"} == {"A": None, "B": "true", "C": "1.5"}
    assert reserved(SPEC) & plan.constants.keys() == reserved(SPEC) & changed.constants.keys()
    assert changed.resources == ("data", plan.inputs)
    assert (changed.time_limit, changed.snapshot_seconds) == (timedelta(minutes=30), 150)
    assert changed.ends - NOW == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"name": "other"}, "name"), ({"profile": "other"}, "profile"), ({"constants": ["A"]}, "constants"),
        ({"constants": {"no space": "1"}}, "constants"), ({"constants": {"A": []}}, "constants"),
        ({"constants": {"DOCKER_SSH": "1"}}, "constants"), ({"buckets": "data"}, "buckets"),
        ({"buckets": ["No Bucket"]}, "buckets"), ({"buckets": ["calm-heron-42-out"]}, "buckets"),
        ({"tags": [""]}, "tags"), ({"hardware": {"cores": 4}}, "hardware"), ({"scheduling": "soon"}, "scheduling"),
        ({"hours": 0}, "hours"), ({"hours": True}, "hours"), ({"snapshot_minutes": "1"}, "snapshot_minutes"),
        ({"instances": 0}, "instances"), ({"instances": 2.0}, "instances"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_by_the_name_of_its_part(
    plan: TaskPlan, changes: dict[str, Any], part: str
) -> None:
    with pytest.raises(UnusableError) as caught:
        plan_of(replace(draft_of(plan, SPEC), **changes), plan, SPEC)
    assert caught.value.part == part
