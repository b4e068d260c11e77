"""What a session's task tells of how it was started."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.catalog.reader import read_entries
from run_qarnot.cloud.models import read_task
from run_qarnot.core.names import LONGEST_NAME, check_name
from run_qarnot.core.redaction import redact
from run_qarnot.engine.restart_spec import entered_options, next_name, restart_spec, user_key
from run_qarnot.model.plan import Label

OPTIONS: dict[str, Any] = {
    "fast": {"type": "bool", "constant": "FAST"},
    "parts": {"type": "multi", "choices": ["a", "b", "c"], "constant": "PARTS"},
    "word": {"constant": "WORD"},
    "silent": {"constant": "SILENT"},
    "password": {"type": "secret", "constant": "PASSWORD"},
    "hidden": {"type": "secret", "constant": "QARNOT_SECRET__HIDDEN"},
}
CONSTANTS = {
    "FAST": "true",
    "PARTS": "a,c",
    "WORD": "true",
    "PASSWORD": "s3cr3t-of-the-test",
    "QARNOT_SECRET__HIDDEN": "[SECRET]",
}


def task(constants: dict[str, str], keys: str = "") -> Any:
    """The facts of a task with these constants."""
    listed = [{"key": name, "value": value} for name, value in constants.items()]
    return read_task({"uuid": "1", "name": "x", "state": "Success", "constants": listed, "labels": {Label.KEYS: keys}})


def test_options_are_what_a_form_holds_and_a_secret_is_in_no_output() -> None:
    (image,) = read_entries({"x": {"repo": "a/b", "options": OPTIONS}}, "t.toml").images
    wanted = {"fast": True, "parts": ["a", "c"], "word": "true", "password": "s3cr3t-of-the-test"}
    assert entered_options(task(CONSTANTS), image) == wanted
    assert "s3cr3t" not in redact("it was s3cr3t-of-the-test")


def test_a_session_goes_on_on_such_a_machine_as_it_had_found_in_the_same_way() -> None:
    (image,) = read_entries({"x": {"repo": "a/b", "app": "ssh"}}, "t.toml").images
    constraints = [
        {"discriminator": "MinimumCoreHardwareConstraint", "coreCount": 8},
        {"discriminator": "MinimumRamHardwareConstraint", "minimumMemoryMB": 16000.0},
        {"discriminator": "SpecificHardwareConstraint", "specificationKey": "big-one"},
        {"discriminator": "SSDHardwareConstraint"},
        {"discriminator": "OneOfTomorrow", "coreCount": 1},
    ]
    facts = read_task({"uuid": "1", "name": "x", "hardwareConstraints": constraints, "schedulingType": "OnDemand"})
    spec = restart_spec(facts, image, "x-2", 1)
    assert spec.hardware == {"minimum_cores": 8, "minimum_ram_mb": 16000, "specification": "big-one", "ssd": True}
    assert spec.scheduling == "on-demand"
    assert read_task({"schedulingType": "of-tomorrow"}).scheduling == ""


@pytest.mark.parametrize(
    ("lines", "kinds", "theirs"),
    [
        (("one", "two", "ours"), "user+session", "one\ntwo"),
        (("one", "ours"), "user+session", "one"),
        (("one",), "user", "one"),
        (("ours",), "session", None),
        ((), "", None),
    ],
)
def test_the_users_keys_are_those_that_are_not_ours(lines: tuple[str, ...], kinds: str, theirs: str | None) -> None:
    assert user_key(task({"DOCKER_SSH": "\n".join(lines)}, kinds)) == theirs


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("lab", (), "lab-2"),
        ("lab-2", ("lab-3",), "lab-4"),
        ("calm-heron-42", (), "calm-heron-43"),
        ("a-07", (), "a-07-2"),
        ("lab-9999", (), "lab-10000"),
        ("x" * LONGEST_NAME, (), "x" * (LONGEST_NAME - 2) + "-2"),
        ("x" * (LONGEST_NAME - 2) + "-9", (), "x" * (LONGEST_NAME - 3) + "-10"),
        ("x" * (LONGEST_NAME - 3) + "-yz", (), "x" * (LONGEST_NAME - 3) + "-2"),
    ],
)
def test_the_next_name(name: str, taken: tuple[str, ...], expected: str) -> None:
    assert next_name(name, taken) == expected


@given(st.from_regex(rf"[a-z0-9]([a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?", fullmatch=True))
def test_the_next_name_is_a_valid_other_one(name: str) -> None:
    assert check_name(next_name(name, {name})) != name


def test_it_stops_after_as_many_minutes_without_use_as_before_and_never_stays_never() -> None:
    (image,) = read_entries({"x": {"repo": "a/b"}}, "t.toml").images
    assert restart_spec(task({"RUN_QARNOT_IDLE_MINUTES": "90"}), image, "x-2", 1).idle_minutes == 90
    assert restart_spec(task({}), image, "x-2", 1).idle_minutes == 0
