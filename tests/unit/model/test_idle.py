"""What is said of a run that nobody uses, and after how long it stops."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from run_qarnot.catalog.image import Image
from run_qarnot.core.errors import InputError
from run_qarnot.core.state import State
from run_qarnot.model.idle import Idle, read
from run_qarnot.model.plan import make_plan
from run_qarnot.model.spec import SessionSpec, check_idle, parse_idle
from run_qarnot.model.view import SessionView

SINCE = datetime(2026, 11, 30, 12, 10, tzinfo=UTC)
FILE = b'{"minutes": 60, "idle_since": "2026-11-30T12:10:00Z", "ended": null}\n'
LAB = Image(id="lab", repo="qarnotlab/jupyterlab-base")
PUBLIC = Image(id="public", app="web", port=80, repo="me/web", command="run", start="bundled")
BY_ITSELF = Image(id="own", app="web", port=80, repo="me/web", command="run")
COMMAND = Image(id="command", app="batch", repo="me/x", command="run", start="bundled")


def minutes_of(image: Image, idle: float | None = None) -> str | None:
    spec = SessionSpec(image=image, name="calm-heron-42", hours=4, idle=idle).checked()
    plan = make_plan(spec, launch_id="rq-1", token="t", profiles=["p"], version="1", now=SINCE)
    return plan.constants.get("RUN_QARNOT_IDLE_MINUTES")


def test_the_file_is_read() -> None:
    assert read(FILE) == Idle(SINCE)
    told = FILE.replace(b"null", b'"2026-11-30T13:10:00Z", "ends": ["2026-11-29T12:10:00Z", 7]')
    assert read(told) == Idle(SINCE, (SINCE - timedelta(days=1), SINCE + timedelta(hours=1)))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"7", b'{"idle_since": 7}', b'{"idle_since": "x"}', b"\xff\xfe", b'{"ends": 7}']
)
def test_whatever_else_is_in_it_says_nothing(data: bytes) -> None:
    assert read(data) == Idle()


def test_what_an_earlier_run_left_there_says_nothing_of_this_one() -> None:
    found = Idle(SINCE)
    assert found.since_within(SINCE + timedelta(hours=2)) is None
    assert found.since_within(SINCE + timedelta(minutes=1)) == SINCE, "the clocks of machine and cluster may differ"
    assert found.since_within(None) == SINCE


def test_each_end_is_that_of_one_run() -> None:
    def at(minutes: float) -> datetime:
        return SINCE + timedelta(minutes=minutes)

    runs = [(at(0), at(100)), (at(101), at(103)), (at(103), at(300)), (at(301), None)]
    assert Idle(None, (at(99), at(299))).ended(runs) == [True, False, True, False]
    assert Idle(None, (at(102.5),)).ended(runs) == [False, True, False, False]
    assert Idle(None, (at(270),)).ended(runs) == [False, False, True, False], "its results took long to save"
    assert Idle(None, (at(-6), at(400))).ended(runs) == [False] * 4
    assert Idle(None, (at(1),)).ended([(None, at(2)), (None, None)]) == [True, False]
    assert Idle().ended(runs) == [False] * 4


def test_what_people_use_stops_after_an_hour_without_use_and_a_command_when_it_has_ended() -> None:
    assert minutes_of(LAB) == "60"
    assert minutes_of(PUBLIC) == "60"
    assert minutes_of(COMMAND) is None


def test_the_catalog_and_whoever_starts_it_choose_how_long() -> None:
    half = LAB.model_copy(update={"idle_minutes": 30})
    assert minutes_of(half) == "30"
    assert minutes_of(half, 90) == "90"
    assert minutes_of(half, 0) is None
    never = LAB.model_copy(update={"idle_minutes": 0, "constants": {"RUN_QARNOT_IDLE_MINUTES": 5}})
    assert minutes_of(never) is None
    assert minutes_of(never, 1.5) == "1.5"


def test_where_no_program_of_ours_is_beside_the_app_nobody_can_tell_and_who_asks_for_it_hears_so() -> None:
    for image in (BY_ITSELF, LAB.model_copy(update={"proxy": "none"}), COMMAND):
        assert minutes_of(image) is None
        assert minutes_of(image, 0) is None
        with pytest.raises(InputError, match="cannot tell when nobody uses it"):
            minutes_of(image, 30)


@pytest.mark.parametrize("minutes", [-1, 0.01, 10081, float("nan"), float("inf")])
def test_minutes_that_are_none_are_refused(minutes: float) -> None:
    with pytest.raises(InputError, match="minutes without use"):
        check_idle(minutes, LAB)


def test_minutes_are_read_as_people_write_them() -> None:
    typed = {"": None, " 90 ": 90, "1,5": 1.5, "1h30": 90, "90m": 90, "2 h": 120, "0": 0}
    assert {text: parse_idle(text) for text in typed} == typed
    with pytest.raises(InputError, match="“soon”"):
        parse_idle("soon")


def test_a_view_says_when_it_stops_only_while_nobody_uses_it() -> None:
    used = SessionView("1", "lab", "lab", "jupyterlab", "Lab", State.READY, 1, idle_minutes=60)
    idle = replace(used, idle_since=SINCE)
    assert used.idle_stop is None
    assert idle.idle_stop == SINCE + timedelta(hours=1)
    assert idle.as_json()["idle_stop"] == "2026-11-30T13:10:00Z"
    for nothing in (used, replace(idle, state=State.ENDED), replace(idle, idle_minutes=None)):
        assert nothing.as_json()["idle_stop"] is None
