"""More hours for a session: a new one that goes on where it stops.

Qarnot takes a limit (`maxWallTime`) when a job is made and has no call that changes it: the OpenAPI document has no PUT
or PATCH of jobs, a task's PUT takes constants and tags only and cannot move it to another job (`TaskUpdateInput`), and
the SDK refuses ("can't set attribute on a submitted job"). So a limit is never extended in place, and nothing here
pretends so.
"""

from __future__ import annotations

import re
from collections.abc import Container

from run_qarnot.catalog.image import Image
from run_qarnot.catalog.options import Option
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import SessionError
from run_qarnot.core.messages import Message
from run_qarnot.core.names import LONGEST_NAME
from run_qarnot.core.redaction import protect
from run_qarnot.engine.idleness import limit_of
from run_qarnot.model.plan import SESSION_KEY, USER_KEY, Label
from run_qarnot.model.spec import SessionSpec

_HIDDEN = "[SECRET]"  # in place of the values of `QARNOT_SECRET__*` (`reference/qarnot-platform.md` §2.2)


def restart_spec(facts: TaskSnapshot, image: Image, name: str, hours: float) -> SessionSpec:
    """Return what is to be asked for, so that a session goes on: its files, options, keys and machine, with new hours.

    Arguments:
        facts: of the session.
        image: that it was started from, as the catalog has it now.
        name: of the new session.
        hours: the new session stops after so many.

    Raises:
        SessionError: the session runs a command, which would begin again; or what was entered is not known any more.
    """
    if image.effective_app.ends_by_itself:
        hint = Message("limit-command")
        raise SessionError("limit-fixed", name=facts.name, hint=hint)
    options = entered_options(facts, image)
    if unknown := unknown_options(facts, image):
        raise SessionError(
            "options-unknown", name=facts.name, options=", ".join(unknown), image=image.id, reference=facts.reference
        )
    return SessionSpec(
        image,
        name,
        hours,
        user_key=user_key(facts),
        resume=facts.id,
        options=options,
        scheduling=facts.scheduling,
        hardware=facts.hardware,
        idle=limit_of(facts) or 0,
    )


def next_name(name: str, taken: Container[str]) -> str:
    """Return the name with the next number behind it that is free: `lab`, `lab-2`; `calm-heron-42`, `calm-heron-43`."""
    found = re.fullmatch(r"(.+)-([1-9]\d{0,3})", name)
    stem, number = (found[1], int(found[2])) if found else (name, 1)
    while True:
        number += 1
        candidate = f"{stem[: LONGEST_NAME - len(f'-{number}')].rstrip('-')}-{number}"
        if candidate not in taken:
            return candidate


def entered_options(facts: TaskSnapshot, image: Image) -> dict[str, str | bool | float | list[str]]:
    """Return what was entered, as far as the task's constants tell it. A secret among it is hidden from all output."""
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
    """Return the options whose value the task does not tell: a plugin used it, or the cluster hides it."""
    return [name for name, option in image.options.items() if _is_unknown(facts, option)]


def _is_unknown(facts: TaskSnapshot, option: Option) -> bool:
    return option.constant is None or facts.constants.get(option.constant) == _HIDDEN


def user_key(facts: TaskSnapshot) -> str | None:
    """Return the user's own public keys, if any: the lines before ours (`keys.authorized_keys`)."""
    lines, kinds = facts.constants.get("DOCKER_SSH", "").splitlines(), facts.label(Label.KEYS).split("+")
    theirs = lines[:-1] if SESSION_KEY in kinds else lines
    return "\n".join(theirs) if theirs and USER_KEY in kinds else None
