"""From what the user asks for to what is sent to Qarnot."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncssh
import pytest

from run_qarnot.catalog.image import Image, Option
from run_qarnot.core.errors import InputError
from run_qarnot.model.keys import KeyPolicy, derive_base_url
from run_qarnot.model.plan import Label, TaskPlan, make_plan
from run_qarnot.model.spec import SessionSpec, option_constants, parse_settings

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TOKEN = "qarnot-token-of-the-test"
IMAGE = Image(id="base", title="JupyterLab", repo="qarnotlab/jupyterlab-base", tag="v1", constants={"SLOTS": 26})
USER_KEY = asyncssh.generate_private_key("ssh-ed25519", comment="me").export_public_key().decode().strip()


def plan_of(spec: SessionSpec, **changes: Any) -> TaskPlan:
    arguments: dict[str, Any] = {
        "launch_id": "rq-1",
        "token": TOKEN,
        "profiles": ["jupyterlab"],
        "version": "1",
        "now": NOW,
    }
    return make_plan(spec, **(arguments | changes))


def spec_of(image: Image = IMAGE, **changes: Any) -> SessionSpec:
    return replace(SessionSpec(image=image, name="calm-heron-42", hours=4), **changes)


def test_the_contract() -> None:
    plan = plan_of(spec_of())
    assert plan.name == "calm-heron-42"
    assert plan.launch_id == "rq-1"
    assert plan.tags == ("run-qarnot",)
    assert plan.resources == ("calm-heron-42-in",)
    assert plan.results == "calm-heron-42-out"
    assert plan.time_limit == timedelta(hours=4)
    assert plan.snapshot_seconds == 300
    assert set(plan.labels) == {"rq-session", "rq-launch", "rq-image", "rq-app", "rq-version", "rq-ends", "rq-keys"}
    assert (plan.labels[Label.SESSION], plan.is_first) == ("rq-1", True)
    assert plan.labels[Label.ENDS] == "2026-03-02T13:00:00Z"
    assert plan.constants["DOCKER_REPO"] == "qarnotlab/jupyterlab-base"
    assert plan.constants["SLOTS"] == "26"
    assert len(plan.constants["JUPYTER_TOKEN"]) == 48


def test_another_run_has_all_of_the_session_but_its_own_key() -> None:
    first, second = plan_of(spec_of()), plan_of(spec_of(), launch_id="rq-2", session_id="rq-1")
    assert (second.session_id, second.launch_id, second.is_first) == ("rq-1", "rq-2", False)
    different = {name for name, value in first.constants.items() if second.constants[name] != value}
    assert different == {"DOCKER_SSH"}


def test_an_app_that_takes_a_base_url_is_given_one_and_no_other_app() -> None:
    constants = plan_of(spec_of()).constants
    assert constants["RUN_QARNOT_BASE_URL"] == derive_base_url(TOKEN, "rq-1")
    assert constants["JUPYTER_CONFIG_PATH"] == "/job/.run-qarnot/jupyter"
    own = IMAGE.model_copy(update={"constants": {"JUPYTER_CONFIG_PATH": "/opt/theirs"}})
    assert plan_of(spec_of(own)).constants["JUPYTER_CONFIG_PATH"] == "/job/.run-qarnot/jupyter:/opt/theirs"
    for changes in ({"proxy": "none"}, {"proxy": "strip"}, {"app": "web"}, {"app": "ssh", "proxy": "prefix"}):
        image = Image(id="x", repo="me/x", command="run", **changes)
        assert not {"RUN_QARNOT_BASE_URL", "JUPYTER_CONFIG_PATH"} & set(plan_of(spec_of(image)).constants)
    web = Image(id="x", app="web", repo="me/x", proxy="prefix")
    assert plan_of(spec_of(web)).constants["RUN_QARNOT_BASE_URL"] == derive_base_url(TOKEN, "rq-1")


def test_older_results_come_before_the_inputs_so_that_new_uploads_win() -> None:
    plan = plan_of(spec_of(), resumed=("old-in", "old-out"))
    assert plan.resources == ("old-in", "old-out", "calm-heron-42-in")
    assert plan.inputs == "calm-heron-42-in"


def test_the_machine_that_the_user_asks_for_counts_more_than_that_of_the_image() -> None:
    image = IMAGE.model_copy(update={"hardware": {"minimum_cores": 8, "ssd": True}, "scheduling": "flex"})
    plan = plan_of(spec_of(image, hardware={"minimum_cores": 2}, scheduling="on-demand"))
    assert (plan.hardware, plan.scheduling) == ({"minimum_cores": 2, "ssd": True}, "on-demand")
    plan = plan_of(spec_of(image))
    assert (plan.hardware, plan.scheduling) == ({"minimum_cores": 8, "ssd": True}, "flex")


def test_keys_by_the_policy_of_the_image() -> None:
    assert plan_of(spec_of()).labels[Label.KEYS] == "session"
    one = plan_of(spec_of(user_key=USER_KEY))
    assert one.constants["DOCKER_SSH"] == USER_KEY
    assert one.labels[Label.KEYS] == "user"
    many = plan_of(spec_of(IMAGE.model_copy(update={"ssh_keys": KeyPolicy.MANY}), user_key=USER_KEY))
    assert many.constants["DOCKER_SSH"].splitlines()[0] == USER_KEY
    assert len(many.constants["DOCKER_SSH"].splitlines()) == 2
    assert many.labels[Label.KEYS] == "user+session"


def test_the_qarnot_token_is_in_no_part_of_the_plan() -> None:
    plan = plan_of(spec_of(user_key=USER_KEY))
    assert TOKEN not in "".join(map(str, (plan.constants, plan.labels, plan.tags, plan.resources, repr(plan))))
    assert plan.constants["JUPYTER_TOKEN"] not in repr(plan)


@pytest.mark.parametrize(("hours", "seconds"), [(1.1, 3960), (0.3, 1080), (1.9965, 7188), (0.001, 4), (24, 86400)])
def test_a_limit_is_in_whole_seconds_and_none_less_than_was_asked_for(hours: float, seconds: int) -> None:
    """A session that was to stop at 19:24 stopped at 19:23:59."""
    assert plan_of(spec_of(hours=hours)).time_limit == timedelta(seconds=seconds)


@pytest.mark.parametrize("hours", [0, -1, 25, float("nan"), float("inf")])
def test_hours_that_the_image_does_not_allow(hours: float) -> None:
    with pytest.raises(InputError, match="not possible"):
        spec_of(hours=hours).checked()


def test_all_reasons_are_told_not_only_the_first() -> None:
    bad = spec_of(name="No Good", hours=99, user_key="nonsense", options={"colour": "red"})
    assert [blocker.code for blocker in bad.blockers()] == ["name", "hours", "key-format", "option-unknown"]


OPTIONS = {
    "seconds": Option(type="int", min=1, max=60, default=10, constant="TIME"),
    "column": Option(regex="[a-z]+", message="Write small letters.", constant="COLUMN"),
    "kind": Option(type="choice", choices=("a", "b"), default="a", constant="KIND"),
    "folds": Option(type="multi", choices=("x", "y"), constant="FOLDS"),
    "fast": Option(type="bool", default=False, constant="FAST"),
    "password": Option(type="secret", regex="[a-z]{8}", message="Eight letters.", constant="QARNOT_SECRET__P"),
}
WITH_OPTIONS = IMAGE.model_copy(update={"options": OPTIONS})


def test_options_become_constants_with_their_defaults() -> None:
    assert option_constants(WITH_OPTIONS, {}) == {"TIME": "10", "KIND": "a", "FAST": "false"}
    given = {"seconds": "5", "column": "abc", "folds": ["x", "y"], "fast": "yes"}
    constants = option_constants(WITH_OPTIONS, given)
    assert (constants["TIME"], constants["COLUMN"], constants["FOLDS"], constants["FAST"]) == (
        "5",
        "abc",
        "x,y",
        "true",
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seconds", "61", "60 is the maximum"),
        ("seconds", "one", "whole number"),
        ("column", "A1", "Write small letters."),
        ("kind", "c", "Choose from: a, b."),
        ("folds", "x,z", "“z” is not offered"),
        ("fast", "perhaps", "neither yes nor no"),
        ("secondz", "1", "Did you mean “seconds”?"),
    ],
)
def test_a_value_that_will_not_do_is_said(name: str, value: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        option_constants(WITH_OPTIONS, {name: value})
    assert said in str(caught.value)


def test_a_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InputError) as caught:
        option_constants(WITH_OPTIONS, {"password": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_set_is_name_and_value() -> None:
    assert parse_settings(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(InputError, match="NAME=VALUE"):
        parse_settings(["novalue"])


def test_what_names_the_docker_image_wins_over_what_was_entered() -> None:
    image = Image(
        id="x", app="web", port=80, open_path="/p", repo="quay.io/me/x", tag="v2", command="run it",
        constants={"DOCKER_TAG": "other", "YES": True, "NO": False, "HALF": 0.5, "WORD": "True", "PROFILE": "p"},
    )  # fmt: skip
    constants = plan_of(spec_of(image)).constants
    assert (constants["DOCKER_TAG"], constants["DOCKER_CMD"]) == ("v2", "run it")
    assert (constants["DOCKER_SRV"], constants["DOCKER_REPO"]) == ("https://quay.io", "me/x")
    assert [constants[name] for name in ("YES", "NO", "HALF", "WORD")] == ["true", "false", "0.5", "True"]
    digest = "sha256:" + "a" * 64
    by_digest = image.model_copy(update={"tag": "", "digest": digest})
    assert plan_of(spec_of(by_digest)).constants["DOCKER_TAG"] == digest
    bare = Image(id="x", app="ssh", constants={"DOCKER_TAG": "theirs"})
    assert plan_of(spec_of(bare)).constants["DOCKER_TAG"] == "theirs", "what is not said takes nothing away"


def test_an_image_that_brings_no_start_of_its_own_gets_ours_and_its_command_is_kept() -> None:
    image = Image(
        id="x", app="web", port=80, open_path="/p", repo="me/x", start="bundled", command="run it", constants={"A": 1}
    )
    constants = plan_of(spec_of(image)).constants
    assert constants["DOCKER_CMD"] == "sh /job/.run-qarnot/start.sh"
    assert constants["A"] == "1"
    told = {name: value for name, value in constants.items() if name.startswith("RUN_QARNOT_")}
    assert told == {
        "RUN_QARNOT_START": "bundled", "RUN_QARNOT_APP": "web", "RUN_QARNOT_PORT": "80", "RUN_QARNOT_OPEN_PATH": "/p",
        "RUN_QARNOT_PROBE_PATH": "/", "RUN_QARNOT_COMMAND": "run it", "RUN_QARNOT_IDLE_MINUTES": "60",
    }  # fmt: skip
    without = plan_of(spec_of(image.model_copy(update={"command": ""}))).constants
    assert "RUN_QARNOT_COMMAND" not in without
    own = plan_of(spec_of(image.model_copy(update={"start": "image"}))).constants
    assert (own["DOCKER_CMD"], "RUN_QARNOT_START" in own) == ("run it", False)


def test_the_first_profile_that_the_account_has_is_taken() -> None:
    assert plan_of(spec_of(), profiles=["one", "two"]).profile == "one"
    assert plan_of(spec_of()).constants.get("JUPYTER_CONFIG_PATH") == "/job/.run-qarnot/jupyter"


def test_the_end_is_counted_anew_from_the_submission() -> None:
    plan = plan_of(spec_of())
    later = plan.starting(NOW + timedelta(hours=1))
    assert (plan.ends, later.ends) == (NOW + timedelta(hours=4), NOW + timedelta(hours=5))
    assert {**later.labels, Label.ENDS: plan.labels[Label.ENDS]} == plan.labels


def test_buckets_that_are_attached_stand_before_the_own_and_none_twice() -> None:
    plan = plan_of(spec_of(buckets=("data", "old-in", "mine-in")), resumed=("old-in",), buckets=("mine-in", "mine-out"))
    assert (plan.resources, plan.results) == (("old-in", "data", "mine-in"), "mine-out")


DASK = Image(id="dask", title="Dask", repo="me/lab", start="bundled", cluster="dask", machines=2, max_machines=8)


def test_several_machines_run_on_the_cluster_profile_by_roles() -> None:
    plan = plan_of(spec_of(DASK, machines=4))
    script = "sh /job/.run-qarnot/start.sh"
    assert plan.instances == 4
    assert (plan.constants["DOCKER_CMD_MASTER"], plan.constants["DOCKER_CMD_WORKER"]) == (script, script)
    assert plan.constants["RUN_QARNOT_CLUSTER"] == "dask"
    assert spec_of(DASK).profiles == ("docker-cluster-network-ssh", "docker-cluster-network")
    assert plan_of(spec_of(DASK)).instances == 2


def test_one_machine_is_no_cluster() -> None:
    spec = spec_of(DASK, machines=1)
    assert spec.profiles == DASK.profile
    assert not {"DOCKER_CMD_MASTER", "DOCKER_CMD_WORKER"} & plan_of(spec).constants.keys()


def test_workers_may_have_a_command_of_their_own_and_the_image_its_constants() -> None:
    image = Image(id="x", repo="me/x", command="lead", worker_command="work", max_machines=2)
    constants = plan_of(spec_of(image, machines=2)).constants
    assert (constants["DOCKER_CMD_MASTER"], constants["DOCKER_CMD_WORKER"]) == ("lead", "work")
    own = image.model_copy(update={"constants": {"DOCKER_CMD_WORKER": "own"}})
    assert plan_of(spec_of(own, machines=2)).constants["DOCKER_CMD_WORKER"] == "own"


@pytest.mark.parametrize("machines", [0, 9])
def test_machines_that_the_image_does_not_allow(machines: int) -> None:
    with pytest.raises(InputError, match="Choose between 1 and 8"):
        spec_of(DASK, machines=machines).checked()
