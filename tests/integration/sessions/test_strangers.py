"""What strangers write into tasks: names, labels, anything. It is shown, can be stopped, and does nothing else."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import math
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qarnot.connection import Connection
from support.command import CommandLine
from support.desk import MACHINE, Desk, at_a_desk, page_on
from support.hostile import HostileProxy, says
from support.ports import free_port
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.catalog import Catalog
from run_qarnot.cloud.json import read_json
from run_qarnot.cloud.models import TaskSnapshot, read_buckets, read_machines, read_task, read_tasks
from run_qarnot.core import visible
from run_qarnot.core.state import State
from run_qarnot.engine.decide import decide, end_reason, first_view, observe
from run_qarnot.engine.restart_spec import entered_options, user_key
from run_qarnot.engine.wait_estimate import wait_estimates
from run_qarnot.model.connections import Place, Reach, TunnelSpec, connections
from run_qarnot.model.plan import TAG
from run_qarnot.model.view import SessionView
from run_qarnot.page.props import session_row

pytestmark = pytest.mark.slow

NAME_OR_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
EVIL = "x\ntouch PWNED\n\x1b]0;title\x07\x1b[2J\u202e$(touch PWNED)"


def listed(cluster: LocalCluster) -> list[dict[str, Any]]:
    """All tasks, as the cluster's API tells them."""
    head = {"Authorization": cluster.token}
    found = requests.get(f"{cluster.cluster_url}/tasks", headers=head, timeout=10).json()
    return [
        requests.get(f"{cluster.cluster_url}/tasks/{task['uuid']}", headers=head, timeout=10).json() for task in found
    ]


def submit(cluster: LocalCluster, **changes: Any) -> str:
    """Submit a task by another program than ours; return its id."""
    body = {
        "name": "other", "profile": "docker-network-ssh", "instanceCount": 1, "tags": [TAG],
        "constants": [{"key": "DOCKER_REPO", "value": "library/debian"}, {"key": "DOCKER_CMD", "value": "sleep 1000"}],
        "labels": {"rq-image": "machine", "rq-app": "ssh"},
    }  # fmt: skip
    head = {"Authorization": cluster.token}
    answer = requests.post(f"{cluster.cluster_url}/tasks", json=body | changes, headers=head, timeout=10)
    assert answer.ok, answer.text
    return str(answer.json()["uuid"])


def test_a_session_is_copied_from_buckets_whose_names_we_would_not_make(
    cluster: LocalCluster, cli: CommandLine
) -> None:
    """Another program made them, with a capital and an underscore: one that is no session's is attached as it is."""
    connection = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token)
    for name in ("Their_Data", "Their_Results"):
        connection.create_bucket(name).add_string(name, f"{name}.txt")
    submit(cluster, name="theirs", resourceBuckets=["Their_Data"], resultBucket="Their_Results")
    cli("launch", "base", "--name", "ours", "--from", "theirs", "--detach")
    task = next(task for task in listed(cluster) if task["name"] == "ours")
    named = [each["bucketName"] for each in task["advancedResourceBuckets"]]
    assert named[0] == "Their_Data"
    assert {*named[1:], task["resultBucket"]} == {"ours-in", "ours-out"}
    assert "Their_Results.txt" in [file.key for file in connection.retrieve_bucket("ours-in").list_files()]
    assert {bucket.uuid for bucket in connection.buckets()} == {"Their_Data", "Their_Results", "ours-in", "ours-out"}
    for name in ("ours", "theirs"):
        cli("stop", name, "--no-save")


@pytest.fixture(scope="module")
def real(of_the_module: LocalCluster) -> list[dict[str, Any]]:
    """Tasks of ours as the API tells them: one that is ready, one with a page, one that has ended."""

    async def scenario(desk: Desk) -> list[dict[str, Any]]:
        ended = await desk.start()
        async with desk.following(ended):
            await ended.until(lambda view: view.state is State.READY)
            await ended.stop()
        async with desk.ready(), desk.ready(page_on(free_port())):
            return await asyncio.to_thread(listed, of_the_module)

    return at_a_desk(of_the_module, scenario)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8)
    | st.sampled_from([
        10**400, -(10**99), 1e308, math.nan, math.inf, "", "\ud800", EVIL, "9999-12-31T23:59:59-14:00", "../../x",
        "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "A" * 100_000, "FullyExecuting",
        "run-qarnot-saves-" + "9" * 5000,
        {"discriminator": "MinimumCoreHardwareConstraint", "coreCount": math.nan},
    ]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from paths(each, (*path, key))


def mutated(body: Any, data: st.DataObject) -> Any:
    """A copy of a body with a few places changed, taken away, or doubled."""
    body = copy.deepcopy(body)
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(sorted(paths(body), key=repr)))
        if not path:
            return data.draw(JUNK)
        *before, last = path
        holder = body
        for key in before:
            holder = holder[key]
        match data.draw(st.sampled_from(["change", "drop", "wrap"])):
            case "change":
                holder[last] = data.draw(JUNK)
            case "drop":
                del holder[last]
            case "wrap":
                holder[last] = [holder[last]]
    return body


def use(facts: TaskSnapshot) -> SessionView:
    """Do with a task what the engine, the page and the commands do."""
    now = datetime.now(UTC)
    view = observe(first_view([facts], "JupyterLab"), facts, now)
    for state in State:
        row = session_row(replace(view, state=state), "image", now)
        json.dumps([row, replace(view, state=state).as_json()], allow_nan=False, ensure_ascii=False).encode()
    decide(view, facts, can_tunnel=True, age=1)
    end_reason(facts)
    wait_estimates([facts])
    entered_options(facts, MACHINE)
    user_key(facts)
    if view.ends is not None:
        assert view.ends - timedelta(days=400) < view.ends.astimezone() < view.ends + timedelta(days=400)
    reach = Reach(
        id=view.id,
        name=view.reference,
        app_title="app",
        app_port=8888,
        open_path="/lab",
        app_token=facts.constants.get("X"),
        ssh_user="root",
        forwards=facts.forwards,
        session_key_accepted=True,
        user_key_accepted=True,
    )
    for connection in connections(reach, Place()):
        assert visible.one_line(f"{connection.url} {connection.command}") == f"{connection.url} {connection.command}"
    assert NAME_OR_ID.fullmatch(view.reference), view.reference
    for text in (
        view.id,
        view.name,
        view.image,
        view.app,
        view.inputs,
        view.results,
        str(view.error or ""),
        facts.state,
        facts.job,
    ):
        assert visible.one_line(text or "") == (text or "")
    return view


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_task_raises_whatever_it_is(real: list[dict[str, Any]], data: st.DataObject) -> None:
    body = mutated(data.draw(st.sampled_from(real)), data)
    facts = read_task(body)
    read_buckets(body)
    read_machines(body)
    if facts.id:
        use(facts)
    others = read_tasks([*real, body])
    assert [task.id for task in others][: len(real)] == [task["uuid"] for task in real]
    read_task(read_json(json.dumps(body).encode()))


@pytest.mark.parametrize("key", ["uuid", "name", "creationDate", "resultsCount", "snapshotInterval", "tags", "labels"])
def test_a_number_that_python_does_not_write_is_none(real: list[dict[str, Any]], key: str) -> None:
    read_task({**real[0], key: 10**5000})
    spoilt = json.dumps({**real[0], key: "NUMBER"}).replace('"NUMBER"', "1" * 5000)
    assert read_task(read_json(spoilt.encode())) == read_task({**real[0], key: None})


def test_the_real_ones_are_read_in_full(real: list[dict[str, Any]]) -> None:
    read = {task["uuid"]: read_task(task) for task in real}
    for task in real:
        facts = read[task["uuid"]]
        assert (facts.name, facts.launch_id) == (task["name"], task["shortname"])
        assert facts.constants == {each["key"]: each["value"] for each in task["constants"]}
        assert facts.resources == tuple(
            each["bucketName"] for each in task["advancedResourceBuckets"] if each["bucketName"] != task["resultBucket"]
        )
    assert any(facts.forwards for facts in read.values())


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "soon", ""])
def test_a_strange_end_is_an_unknown_end(real: list[dict[str, Any]], end: str) -> None:
    facts = read_task({**real[0], "labels": {**real[0]["labels"], "rq-ends": end}})
    assert use(facts).as_json()["ends"] is None


@pytest.mark.parametrize(
    "host", ["-oProxyCommand=touch PWNED", "h; touch PWNED", "h\ntouch PWNED", "h\x1b[2J", "a b", "h/x", "é", ""]
)
def test_a_host_that_is_none_is_no_way_in(host: str) -> None:
    instance = {"activeForwards": [{"applicationPort": 22, "forwarderPort": 22, "forwarderHost": host}]}
    body = {"uuid": "1", "status": {"runningInstancesInfo": {"perRunningInstanceInfo": [instance]}}}
    assert read_task(body).forwards == ()
    instance["activeForwards"][0]["forwarderHost"] = "7c2b-0-22.gateway.example"
    assert len(read_task(body).forwards) == 1


def test_a_session_with_any_name_is_one_row_and_ends_by_its_id(calm: LocalCluster, cli_of: CommandLine) -> None:
    cli = cli_of
    bad = submit(
        calm, name=EVIL, labels={"rq-image": "\x1b[31mimage", "rq-app": "ssh", "rq-ends": "9999-12-31T23:59:59-14:00"}
    )
    good = submit(calm, name="good-one")
    rows = cli("sessions").out
    assert "\x1b" not in rows
    assert "\u202e" not in rows
    assert r"x\ntouch PWNED\n\x1b]0;title\x07\x1b[2J\u202e$(touch PWNED)" in rows
    assert len(rows.splitlines()) == 1 + len({bad, good} | {task["uuid"] for task in listed(calm)})
    found = {each["id"]: each for each in cli("sessions", "--json").json}
    assert found[bad]["ends"] is None
    wait_until(lambda: cli("show", bad, "--json").json["state"] in {"starting", "ready"}, "the session to run")
    for arguments in (("show", bad), ("logs", bad), ("stop", bad[:13], "--no-save"), ("delete", bad)):
        answer = cli(*arguments)
        printed = f"{answer.out}{answer.err}"
        assert "\x1b" not in printed
        assert "touch PWNED\n" not in printed
        assert not re.search(r"run-qarnot \w+ [^`]*PWNED", printed), "its name is in no command"
    assert {each["id"] for each in cli("sessions", "--json").json} & {bad, good} == {good}
    cli("stop", good, "--no-save")
    cli("delete", good)
    assert not list(cli.folder.rglob("PWNED*"))


def test_an_ended_one_names_its_id_in_what_to_type(calm: LocalCluster, cli_of: CommandLine) -> None:
    bad = submit(
        calm, name="../../x; touch PWNED", constants=[{"key": "DOCKER_CMD", "value": "true"}], profile="docker-batch"
    )
    wait_until(lambda: cli_of("show", bad, "--json").json["state"] in {"ended", "failed"}, "the session to end")
    answer = cli_of("open", bad, expect=1)
    assert f"`run-qarnot show {bad}`" in answer.err
    assert "“../../x; touch PWNED”" in answer.err
    cli_of("delete", bad)


def test_what_a_container_prints_steers_no_terminal(calm: LocalCluster, cli_of: CommandLine) -> None:
    text = "\x1b]0;title\x07\x1b[31mred\x1b[0m \x1b[2J\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\ \u202e\n"
    command = f"sh -c 'echo {base64.b64encode(text.encode()).decode()} | base64 -d'"
    task = submit(calm, name="prints", profile="docker-batch", constants=[{"key": "DOCKER_CMD", "value": command}])
    printed = wait_until(lambda: out if "red" in (out := cli_of("logs", task).out) else "", "its output")
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert r"red link \u202e" in printed
    followed = cli_of("logs", task, "--follow").out
    assert "\x1b" not in followed
    cli_of("delete", task)


@pytest.fixture
def cli_of(calm: LocalCluster, tmp_path: Any) -> CommandLine:
    return CommandLine.of_account(calm, tmp_path)


LISTS = [
    b'{"data": [null, 1, "x", [], {}, {"uuid": {}}, {"uuid": "a/../b", "name": "no id"}], "isTruncated": false}',
    b'{"data": {"a": 1}}',
    b"null",
    b'{"data": null, "nextToken": {}, "isTruncated": 1}',
    b'{"data": [{"uuid": "1", "tags": '
    + b"9" * 5000
    + b', "name": "\\ud800", "creationDate": NaN, "labels": Infinity}]}',
]


@pytest.mark.parametrize("body", LISTS)
def test_a_strange_list_is_still_a_list(calm: LocalCluster, cli_of: CommandLine, body: bytes) -> None:
    with HostileProxy(calm.cluster_url) as proxy:
        proxy.trouble("POST", "/tasks/paginate", how=says(body), times=100)
        proxy.trouble("GET", "/tasks/", how=says(b"[]"), times=100)
        cli = cli_of.with_environment(QARNOT_CLUSTER_URL=proxy.url)
        names = [each["name"] for each in cli("sessions", "--json").json]
        assert names in ([], [r"\ud800"])
        cli("sessions")


@pytest.mark.parametrize(
    "body", [b"[]", b'"x"', b"<html>", b"[" * 100_000 + b"]" * 100_000, b"\xff\xfe\x00", b'{"data":']
)
def test_what_is_no_list_is_one_sentence(calm: LocalCluster, cli_of: CommandLine, body: bytes) -> None:
    with HostileProxy(calm.cluster_url) as proxy:
        proxy.trouble("POST", "/tasks/paginate", how=says(body), times=100)
        answer = cli_of.with_environment(QARNOT_CLUSTER_URL=proxy.url)("sessions", expect=3)
        assert "is not a Qarnot API" in answer.err
        assert len(answer.err.splitlines()) == 2


def test_a_name_becomes_no_command_of_a_launcher() -> None:
    """`sh -n` reads the script; what it would run holds nothing of the name."""
    from run_qarnot.page.launchers import System, make_launcher

    facts = read_task({"uuid": "7c2b-1", "name": EVIL})
    view = first_view([facts], "app")
    spec = TunnelSpec(
        name=view.reference,
        user="root",
        host="gateway.example",
        port=22,
        app_port=8888,
        local_port=8890,
        url="http://127.0.0.1:8890/lab",
        private_key=None,
        host_key=None,
        fingerprints=(),
    )
    launcher = make_launcher(System.LINUX, spec)
    assert launcher is not None
    assert "PWNED" not in launcher.name + launcher.text
    subprocess.run(["sh", "-n"], input=launcher.text, text=True, check=True, timeout=10)
    assert Catalog().images.get(view.image) is None
