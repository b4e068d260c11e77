"""Converts a plan to the draft that `rq_prepare` may change, and back. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from run_qarnot import bootstrap
from run_qarnot.catalog.image import HARDWARE
from run_qarnot.catalog.options import CONSTANT
from run_qarnot.core.messages import Message
from run_qarnot.core.names import is_bucket_name
from run_qarnot.hooks.api import TaskDraft
from run_qarnot.model.plan import TAG, TaskPlan
from run_qarnot.model.spec import LEAST_HOURS, SCHEDULING, SessionSpec

_MOST_INSTANCES = 1000


class UnusableError(Exception):
    """A part of the draft that cannot be sent."""

    def __init__(self, part: str, problem: Message) -> None:
        self.part, self.problem = part, problem
        super().__init__(f"{part}: {problem}")


def reserved(spec: SessionSpec) -> set[str]:
    """Return the constants that give access to the session or state where its app answers. Plugins neither see nor set
    them."""
    token = spec.image.effective_app.token_env or "DOCKER_SSH"
    return {"DOCKER_SSH", token, bootstrap.BASE_URL, bootstrap.CONFIG_PATH}


def draft_of(plan: TaskPlan, spec: SessionSpec) -> TaskDraft:
    """Return the part of a plan that plugins may see and change."""
    return TaskDraft(
        name=plan.name,
        profile=plan.profile,
        constants={name: value for name, value in plan.constants.items() if name not in reserved(spec)},
        buckets=list(plan.resources[:-1]),
        tags=[tag for tag in plan.tags if tag != TAG],
        hardware=dict(plan.hardware),
        scheduling=plan.scheduling,
        hours=plan.time_limit / timedelta(hours=1),
        snapshot_minutes=plan.snapshot_seconds / 60,
        instances=plan.instances,
    )


def plan_of(draft: TaskDraft, plan: TaskPlan, spec: SessionSpec) -> TaskPlan:
    """Return `plan` with the changes of a plugin.

    Raises:
        UnusableError: a part cannot be sent.
    """
    _check(draft, plan, spec)
    limit = timedelta(seconds=round(draft.hours * 3600))
    kept = {name: value for name, value in plan.constants.items() if name in reserved(spec)}
    changed = replace(
        plan,
        constants={**{name: _text(value) for name, value in draft.constants.items()}, **kept},
        resources=(*dict.fromkeys(draft.buckets), plan.inputs),
        tags=tuple(dict.fromkeys((TAG, *draft.tags))),
        hardware=dict(draft.hardware),
        scheduling=draft.scheduling,
        time_limit=limit,
        snapshot_seconds=round(draft.snapshot_minutes * 60),
        instances=draft.instances,
    )
    return changed.starting(plan.ends - plan.time_limit)


def _check(draft: TaskDraft, plan: TaskPlan, spec: SessionSpec) -> None:
    if (draft.name, draft.profile) != (plan.name, plan.profile):
        raise UnusableError("name" if draft.name != plan.name else "profile", Message("draft-fixed"))
    _check_constants(draft.constants, spec)
    _check_texts("buckets", draft.buckets)
    _check_texts("tags", draft.tags)
    added = [bucket for bucket in draft.buckets if bucket not in plan.resources]
    if wrong := [bucket for bucket in added if not is_bucket_name(bucket) or bucket == plan.results]:
        raise UnusableError("buckets", Message("draft-bucket", name=wrong[0]))
    for name, value in _mapping("hardware", draft.hardware).items():
        if name not in HARDWARE or type(value) is not HARDWARE[name]:
            raise UnusableError("hardware", Message("draft-hardware", name=name))
    if draft.scheduling not in ("", *SCHEDULING):
        raise UnusableError("scheduling", Message("draft-scheduling"))
    most_hours = max(spec.image.max_hours, plan.time_limit / timedelta(hours=1))  # a limit is kept in whole seconds
    limits = {"hours": (LEAST_HOURS, most_hours), "snapshot_minutes": (0, 24 * 60)}
    for name, (least, most) in limits.items():
        value = getattr(draft, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise UnusableError(name, Message("draft-number", least=float(least), most=float(most)))
    if type(draft.instances) is not int or not 0 < draft.instances <= _MOST_INSTANCES:
        raise UnusableError("instances", Message("draft-integer", least=1, most=_MOST_INSTANCES))


def _check_constants(constants: Any, spec: SessionSpec) -> None:
    for name, value in _mapping("constants", constants).items():
        if not isinstance(name, str) or not re.match(CONSTANT, name):
            raise UnusableError("constants", Message("draft-constant-name", name=repr(name)))
        if name in reserved(spec):
            raise UnusableError("constants", Message("draft-constant-ours", name=name))
        if not isinstance(value, str | int | float):
            raise UnusableError("constants", Message("draft-constant-value", name=name))


def _check_texts(part: str, values: Any) -> None:
    if not isinstance(values, list) or not all(isinstance(value, str) and value.strip() for value in values):
        raise UnusableError(part, Message("draft-texts"))


def _mapping(part: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise UnusableError(part, Message("draft-mapping"))
    return value


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
