"""What a session's task tells of how it was started."""

from __future__ import annotations

from typing import Any

import pytest

from run_qarnot.catalog.reader import read_entries
from run_qarnot.cloud.models import read_task
from run_qarnot.core.errors import SessionError
from run_qarnot.core.redaction import redact
from run_qarnot.engine.restart_spec import entered_options, restart_spec, user_key
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
    spec = restart_spec(facts, image, {})
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


def test_what_is_asked_for_anew_is_what_it_was_but_for_the_changes() -> None:
    (image, other) = read_entries(
        {"x": {"repo": "a/b", "hours": 3, "options": {"word": {"constant": "WORD"}}}, "y": {"repo": "a/c"}}, "t.toml"
    ).images
    labels = {Label.IMAGE: "x", Label.ENDS: "2026-03-02T11:00:00Z"}
    body = {"uuid": "1", "name": "n", "creationDate": "2026-03-02T09:00:03Z", "labels": labels}
    facts = read_task({**body, "constants": [{"key": "WORD", "value": "first"}]})
    spec = restart_spec(facts, image, {})
    assert (spec.name, spec.hours, spec.options, spec.resume) == ("n", 2.0, {"word": "first"}, None)
    assert restart_spec(facts, image, {"hours": 1, "options": {"word": "second"}}).options == {"word": "second"}
    assert restart_spec(facts, other, {"image": other}).options == {}, "another image has its own"
    assert restart_spec(read_task({"uuid": "1", "name": "n"}), image, {}).hours == 3, "as the catalog has it"


def test_it_stops_after_as_many_minutes_without_use_as_before_and_never_stays_never() -> None:
    (image,) = read_entries({"x": {"repo": "a/b"}}, "t.toml").images
    assert restart_spec(task({"RUN_QARNOT_IDLE_MINUTES": "90"}), image, {}).idle_minutes == 90
    assert restart_spec(task({}), image, {}).idle_minutes == 0


def test_what_was_entered_and_is_not_known_any_more_is_asked_for() -> None:
    (image,) = read_entries({"x": {"repo": "a/b", "options": OPTIONS}}, "t.toml").images
    facts = read_task({"uuid": "1", "name": "n", "labels": {Label.IMAGE: "x"}, "constants": [
        {"key": "QARNOT_SECRET__HIDDEN", "value": "[SECRET]"}]})  # fmt: skip
    with pytest.raises(SessionError, match="the values of hidden are no longer known"):
        restart_spec(facts, image, {})
    assert restart_spec(facts, image, {"options": {"hidden": "anew"}}).options["hidden"] == "anew"
