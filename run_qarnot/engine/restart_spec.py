"""Makes the request for the next run of a session from its last one.

Qarnot accepts a limit (`maxWallTime`) when a job is created and has no call that changes it: the OpenAPI document has
no PUT or PATCH of jobs, a task's PUT accepts constants and tags only and cannot move it to another job
(`TaskUpdateInput`), and the SDK refuses ("can't set attribute on a submitted job"). So more hours need another run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from run_qarnot import bootstrap
from run_qarnot.catalog.image import Image
from run_qarnot.catalog.options import Option
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core import times
from run_qarnot.core.errors import SessionError
from run_qarnot.core.redaction import protect
from run_qarnot.engine.idleness import limit_of
from run_qarnot.model.plan import SESSION_KEY, USER_KEY, Label
from run_qarnot.model.spec import SessionSpec

_HIDDEN = "[SECRET]"  # shown instead of the values of `QARNOT_SECRET__*` (`reference/qarnot-platform.md` §2.2)


def restart_spec(facts: TaskSnapshot, image: Image, changes: Mapping[str, Any]) -> SessionSpec:
    """Return the request for the next run: options, keys and machine of the last one, with some changes.

    Arguments:
        facts: of the latest run.
        image: for the next run. If it differs from the previous one, the options are its defaults.
        changes: fields of a `SessionSpec`, such as `hours`; `options` are added to the previous ones.

    Raises:
        SessionError: the value of an option is no longer known, and not among the changes.
    """
    given = dict(changes.get("options", {}))
    options: dict[str, Any] = {}
    if image.id == facts.label(Label.IMAGE):
        options = entered_options(facts, image)
        if unknown := [name for name in unknown_options(facts, image) if name not in given]:
            names = ", ".join(unknown)
            raise SessionError("options-unknown", name=facts.name, options=names, reference=facts.reference)
    spec = SessionSpec(
        image,
        facts.name,
        min(hours_of(facts) or image.hours, image.max_hours),
        user_key=user_key(facts),
        scheduling=facts.scheduling,
        hardware=facts.hardware,
        idle=(limit_of(facts) or 0) if image.judges_idle else None,
        machines=facts.machine_count if image.id == facts.label(Label.IMAGE) else None,
        open=facts.constants.get(bootstrap.OPEN, ""),
        brought=facts.constants.get(bootstrap.REPOSITORY, ""),
    )
    return replace(spec, **{**changes, "image": image, "options": {**options, **given}})


def hours_of(facts: TaskSnapshot) -> float | None:
    """Return the time limit of a run in hours, rounded to a hundredth; None if unknown."""
    ends = times.from_text(facts.label(Label.ENDS))
    if ends is None or facts.created is None:
        return None
    return round((ends - facts.created).total_seconds() / 3600, 2) or None


def entered_options(facts: TaskSnapshot, image: Image) -> dict[str, str | bool | float | list[str]]:
    """Return the options that the task's constants contain. Secret ones are hidden from all output."""
    found: dict[str, str | bool | float | list[str]] = {}
    for name, option in image.options.items():
        if _is_unknown(facts, option) or (text := facts.constants.get(option.constant or "")) is None:
            continue
        match option.type:
            case "secret":
                protect(text)
                found[name] = text
            case "bool":
                found[name] = text == "true"
            case "multi":
                found[name] = [part for part in text.split(",") if part]
            case _:
                found[name] = text
    return found


def unknown_options(facts: TaskSnapshot, image: Image) -> list[str]:
    """Return the options whose value the task does not contain: a plugin consumed it, or the cluster hides it."""
    return [name for name, option in image.options.items() if _is_unknown(facts, option)]


def _is_unknown(facts: TaskSnapshot, option: Option) -> bool:
    return option.constant is None or facts.constants.get(option.constant) == _HIDDEN


def user_key(facts: TaskSnapshot) -> str | None:
    """Return the user's own public keys, if any: the lines before ours (`keys.authorized_keys`)."""
    lines, kinds = facts.constants.get("DOCKER_SSH", "").splitlines(), facts.label(Label.KEYS).split("+")
    theirs = lines[:-1] if SESSION_KEY in kinds else lines
    return "\n".join(theirs) if theirs and USER_KEY in kinds else None
