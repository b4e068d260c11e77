"""What plugins do with sessions: change or refuse the plan, be told of events, bring panels."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from run_qarnot.catalog.hooks import NoHooks, Panel
from run_qarnot.catalog.image import Image
from run_qarnot.core.errors import RefusedError
from run_qarnot.core.messages import Message
from run_qarnot.core.state import State
from run_qarnot.hooks import isolation
from run_qarnot.hooks.api import session_info
from run_qarnot.hooks.events import events_between
from run_qarnot.hooks.manager import Plugins, find_plugins
from run_qarnot.model.plan import Label, TaskPlan, make_plan
from run_qarnot.model.settings import Settings
from run_qarnot.model.spec import SessionSpec
from run_qarnot.model.view import SessionView

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TOKEN = "qarnot-token-of-the-test"
START = "from run_qarnot import *\nimport pathlib, sys, time\nSEEN = pathlib.Path(__file__).parent / 'seen'\n"


def plugins(folder: Path, **bodies: str) -> Plugins:
    """Plugins that implement one hook each: `signature` is the name of the file's hook with its arguments."""
    home = folder / "plugins"
    home.mkdir()
    (folder / "images.toml").write_text("schema = 1\n")
    for name, body in bodies.items():
        (home / f"{name}.py").write_text(f"{START}\n@hookimpl\n{body}\n")
    return find_plugins(Settings(images=folder / "images.toml", plugins=home))


def prepare(body: str) -> str:
    return f"def rq_prepare(plan, spec):\n    {body}"


def spec_of(**changes: Any) -> SessionSpec:
    return replace(SessionSpec(image=Image(id="base", tag="v1"), name="calm-heron-42", hours=4), **changes)


def plan_of(spec: SessionSpec) -> TaskPlan:
    profiles = list(spec.image.profile)
    return make_plan(spec, launch_id="rq-1", token=TOKEN, profiles=profiles, version="1", now=NOW)


def test_a_plugin_changes_the_plan(tmp_path: Path) -> None:
    body = (
        "plan.constants['A'] = 1; plan.constants['B'] = True; plan.buckets.append('shared-data'); "
        "plan.tags.append('project:x'); plan.hardware['minimum_cores'] = 8; plan.scheduling = 'on-demand'; "
        "plan.hours = 2; plan.snapshot_minutes = 10; plan.instances = 3"
    )
    plan = plugins(tmp_path, change=prepare(body)).prepare(plan_of(spec_of()), spec_of())
    assert (plan.constants["A"], plan.constants["B"]) == ("1", "true")
    assert plan.resources == ("shared-data", "calm-heron-42-in")
    assert plan.tags == ("run-qarnot", "project:x")
    assert (plan.hardware, plan.scheduling, plan.instances) == ({"minimum_cores": 8}, "on-demand", 3)
    assert (plan.time_limit, plan.labels[Label.ENDS]) == (timedelta(hours=2), "2026-03-02T11:00:00Z")
    assert plan.snapshot_seconds == 600


def test_without_plugins_the_plan_stays_as_it_is(tmp_path: Path) -> None:
    plan = plan_of(spec_of())
    assert plugins(tmp_path, nothing=prepare("pass")).prepare(plan, spec_of()) == plan
    assert NoHooks().prepare(plan, spec_of()) is plan


def test_a_plugin_refuses_with_a_reason_for_the_user(tmp_path: Path) -> None:
    found = plugins(tmp_path, house_rules=prepare("raise Refusal('not on\\n a Sunday.')"))
    with pytest.raises(RefusedError) as caught:
        found.prepare(plan_of(spec_of()), spec_of())
    assert caught.value.what == "It was not started: not on a Sunday."
    assert "house_rules.py" in caught.value.todo


def test_what_no_plugin_touched_is_not_judged(tmp_path: Path) -> None:
    """Older buckets may have names that we would not give, and limits are kept in whole seconds."""
    spec = spec_of(image=Image(id="base", hours=0.2, max_hours=0.33333), hours=0.33333)
    plan = replace(plan_of(spec), resources=("Old_Bucket", "calm-heron-42-in"))
    found = plugins(tmp_path, tags=prepare("plan.tags.append('x')"), nothing=prepare("pass"))
    assert found.prepare(plan, spec) == replace(plan, tags=("run-qarnot", "x"))
    assert found.problems == []


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("plan.tags.append('x'); 1 / 0", "plugin-failed", "ZeroDivisionError"),
        ("sys.exit()", "plugin-failed", "end the program"),
        ("import threading; threading.Event().wait(60)", "plugin-slow", "took over"),
        ("print('x')", "plugin-printed", "printed “x”"),
        ("return plan", "hook-answer", "must return nothing"),
        ("plan.tags = 'x'", "plan", "`tags`"),
        ("plan.tags = ['']", "plan", "`tags`"),
        ("plan.constants = None", "plan", "`constants`"),
        ("plan.constants['a b'] = '1'", "plan", "not the name of a constant"),
        ("plan.constants['A'] = [1]", "plan", "neither text nor a number"),
        ("plan.constants['DOCKER_SSH'] = 'mine'", "plan", "is reserved"),
        ("plan.constants['JUPYTER_TOKEN'] = 'mine'", "plan", "is reserved"),
        ("plan.buckets = ['Not A Bucket']", "plan", "cannot be one"),
        ("plan.hardware = {'cores': 8}", "plan", "is not known"),
        ("plan.scheduling = 'soon'", "plan", "no such way"),
        ("plan.hours = 1000", "plan", "from 0.001 to 24"),
        ("plan.hours = float('nan')", "plan", "`hours`"),
        ("plan.instances = 0", "plan", "`instances`"),
        ("plan.name = 'other'", "plan", "must not be changed"),
    ],
)
def test_a_bad_plugin_changes_nothing(
    tmp_path: Path, body: str, code: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if code == "plugin-slow":
        monkeypatch.setattr(isolation, "SLOW_SECONDS", 0.3)
    found = plugins(tmp_path, bad=prepare(body), good=prepare("plan.tags.append('good')"))
    plan = found.prepare(plan_of(spec_of()), spec_of())
    assert plan == replace(plan_of(spec_of()), tags=("run-qarnot", "good"))
    (problem,) = found.problems
    assert (problem.source, problem.code) == ("bad.py", code)
    assert said in problem.message


def test_keys_and_tokens_are_not_in_what_a_plugin_gets(tmp_path: Path) -> None:
    body = "SEEN.write_text(repr((vars(plan), spec)))"
    plan = plan_of(spec_of())
    after = plugins(tmp_path, spy=prepare(body)).prepare(plan, spec_of())
    seen = (tmp_path / "plugins" / "seen").read_text()
    assert "calm-heron-42" in seen
    for secret in (TOKEN, plan.constants["JUPYTER_TOKEN"], plan.constants["DOCKER_SSH"]):
        assert secret not in seen
    assert after.constants["JUPYTER_TOKEN"] == plan.constants["JUPYTER_TOKEN"]


VIEW = SessionView(
    id="1", name="calm-heron-42", image="base", app="jupyterlab", app_title="JupyterLab", state=State.PREPARING,
    attempt=0, results="calm-heron-42-out",
)  # fmt: skip


def names(*states: SessionView) -> list[str]:
    return [event.name for before, after in pairwise(states) for event in events_between(before, after, NOW)]


def test_a_life_as_its_watcher_hears_of_it() -> None:
    life = [
        VIEW,
        replace(VIEW, note=Message("uploading")),
        (waiting := replace(VIEW, state=State.WAITING)),
        (starting := replace(waiting, state=State.STARTING, attempt=1)),
        (ready := replace(starting, state=State.READY, ready=NOW)),
        (saved := replace(ready, saved=NOW)),
        (again := replace(saved, state=State.STARTING, attempt=2, ready=None)),
        replace(again, state=State.ENDED, ended=NOW, reason="stopped"),
    ]
    assert names(*life) == ["waiting", "starting", "ready", "saved", "restarted", "starting", "ended"]


def test_an_event_says_the_state_by_the_clusters_clock_and_not_what_is_being_done() -> None:
    later = replace(VIEW, state=State.WAITING, note=Message("asking-for-machine"))
    (event,) = events_between(VIEW, later, NOW)
    assert (event.text, event.time) == ("Waiting: the cluster looks for a free machine", NOW)


def test_a_session_that_is_found_again_is_no_event() -> None:
    unknown = replace(VIEW, state=State.UNKNOWN)
    starting = replace(VIEW, state=State.STARTING, attempt=1)
    ready = replace(starting, state=State.READY)  # since when is not known: it was ready before
    assert names(unknown, starting, ready) == []


def test_plugins_are_told_in_order_and_a_bad_one_hinders_nobody(tmp_path: Path) -> None:
    found = plugins(
        tmp_path,
        bad="def rq_event(session, event):\n    1 / 0",
        good="def rq_event(session, event):\n    SEEN.open('a').write(f'{session.name} {event.name}\\n')",
    )
    waiting = replace(VIEW, state=State.WAITING)
    found.changed(VIEW, waiting, NOW)
    found.changed(waiting, replace(waiting, state=State.STARTING, attempt=1), NOW)
    found.drain(5)
    assert (tmp_path / "plugins" / "seen").read_text() == "calm-heron-42 waiting\ncalm-heron-42 starting\n"
    assert [problem.code for problem in found.problems] == ["plugin-failed"]
    assert not [thread for thread in threading.enumerate() if thread.name == "plugin-events"]


def test_an_event_that_cannot_be_told_does_not_stop_the_next_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = plugins(tmp_path, good="def rq_event(event):\n    SEEN.open('a').write(event.name + '\\n')")

    def fail() -> None:
        raise RuntimeError("can't start new thread")

    found._later(fail)
    found.drain(10)
    found.changed(VIEW, replace(VIEW, state=State.WAITING), NOW)
    found.drain(10)
    assert (tmp_path / "plugins" / "seen").read_text().split(), "the next event was told"
    assert "RuntimeError: can't start new thread" in caplog.text


def test_an_exception_that_cannot_become_text_is_reported_too(tmp_path: Path) -> None:
    body = "class Odd(Exception):\n        def __str__(self): sys.exit(3)\n    raise Odd"
    found = plugins(tmp_path, odd=f"def rq_event(event):\n    {body}")
    found.changed(VIEW, replace(VIEW, state=State.WAITING), NOW)
    found.drain(10)
    assert [problem.code for problem in found.problems] == ["plugin-failed"]


def test_a_slow_plugin_does_not_hold_up_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "SLOW_SECONDS", 0.3)
    found = plugins(tmp_path, slow="def rq_event(session, event):\n    import threading; threading.Event().wait(60)")
    found.changed(VIEW, replace(VIEW, state=State.WAITING), NOW)  # returns at once
    assert found.problems == []
    found.drain(5)
    assert [problem.code for problem in found.problems] == ["plugin-slow"]


def test_addresses_are_not_told() -> None:
    assert "connections" not in vars(session_info(VIEW))


def panel(answer: str) -> str:
    return f"def rq_panel(session):\n    return {answer}"


def test_a_panel_reads_a_file_of_the_results(tmp_path: Path) -> None:
    found = plugins(tmp_path, one=panel("Panel('Log', session.text('log.txt') + session.text('none'))"))
    files = {"log.txt": b"all is well"}
    (brought,) = found.panels(VIEW, files.__getitem__)
    assert brought == Panel("Log", "all is well")
    assert brought.source == "one.py", "by whom is not for the plugin to say"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("'x'", "hook-answer"),
        ("Panel(1)", "hook-answer"),
        ("Panel('x', rows=5)", "hook-answer"),
        ("1 / 0", "plugin-failed"),
    ],
)
def test_a_bad_panel_costs_one_row(tmp_path: Path, answer: str, code: str) -> None:
    found = plugins(tmp_path, bad=panel(answer), good=panel("Panel('Good')"), none=panel("None"))
    assert [each.title for each in found.panels(VIEW, lambda path: b"")] == ["Good"]
    assert [(problem.source, problem.code) for problem in found.problems] == [("bad.py", code)]
