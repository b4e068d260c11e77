"""A time limit cannot be changed on Qarnot: more hours are a new session that goes on, and nothing pretends more."""

import dataclasses

import pytest
from support.desk import MACHINE, at_a_desk, until
from support.ssh import make_key

from run_qarnot.catalog.image import Option
from run_qarnot.core.errors import InputError, SessionError
from run_qarnot.core.state import State
from run_qarnot.model.spec import SessionSpec

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]

WORK = MACHINE.model_copy(
    update={
        "id": "work",
        "command": "sh -c 'test -f made.txt || echo $WORD > made.txt; sleep 1000'",
        "ssh_keys": "many",
        "options": {"word": Option(constant="WORD", default="none"), "more": Option(constant="MORE")},
    }
)


def test_files_options_and_keys_go_on_in_a_new_session_with_its_own_limit(cluster, tmp_path):
    key = make_key(tmp_path).read_text().strip()

    async def scenario(desk):
        account = desk.account
        account.catalog.images["work"] = WORK
        spec = SessionSpec(WORK, "hours", 1, user_key=key, options={"word": "first"})
        machine = {"scheduling": "on-demand", "hardware": {"minimum_cores": 1, "ssd": True}}
        older = await account.start(dataclasses.replace(spec, **machine), [])
        async with desk.following(older):
            await until(older, lambda view: view.state is State.READY, "the first one")
            newer = await account.continue_with(older, 2)
        assert (older.view.state, older.view.reason) == (State.ENDED, "stopped")
        assert older.view.saved is not None
        async with desk.following(newer):
            await until(newer, lambda view: view.state is State.READY, "the one that goes on")
            assert newer.view.name == "hours-2"
            assert 6000 < (newer.view.ends - account.now()).total_seconds() < 7300
            assert newer.facts.resources == ("hours-in", "hours-out", "hours-2-in")
            assert newer.facts.constants["WORD"] == "first"
            assert (newer.facts.scheduling, newer.facts.hardware) == tuple(machine.values())
            assert "MORE" not in newer.facts.constants
            lines = newer.facts.constants["DOCKER_SSH"].splitlines()
            assert lines[0] == key
            assert lines[1:] != older.facts.constants["DOCKER_SSH"].splitlines()[1:], "each launch has a key of ours"
            last = await account.continue_with(newer, 1)
            assert last.view.name == "hours-3"
        assert [task.name for task in await account.client.tasks() if "hours-3" in task.name] == []

    at_a_desk(cluster, scenario)


@pytest.mark.parametrize(
    ("change", "hours", "said"),
    [
        ({"app": "batch"}, 2, "cannot be changed.*would begin again"),
        ({}, 25, "25 hours is not possible"),
        ({"options": {"plugins-own": Option()}}, 2, "what was entered for plugins-own is not known"),
        ({"options": {"pass": Option(type="secret", constant="QARNOT_SECRET__P", default="x")}}, 2, "entered for pass"),
    ],
)
def test_what_cannot_go_on_is_said_and_runs_on(cluster, change, hours, said):
    async def scenario(desk):
        async with desk.ready(WORK.model_copy(update=change)) as session:
            with pytest.raises((InputError, SessionError), match=said):
                await desk.account.continue_with(session, hours)
            assert session.view.state is State.READY
            assert not (await desk.account.find(session.view.name)).view.is_over

    at_a_desk(cluster, scenario)


def test_a_session_that_cannot_be_saved_runs_on_and_no_other_is_started(cluster):
    async def scenario(desk):
        async with desk.ready(WORK) as session:
            with cluster.control.expecting():
                cluster.control.fail_next("POST", "/tasks/*/snapshot", status=403, body={"message": "Not now"})
                with pytest.raises(SessionError, match="Not now"):
                    await desk.account.continue_with(session, 2)
            assert session.view.state is State.READY
            assert (await desk.account.sessions())[0].view.name == session.view.name, "none is newer"

    at_a_desk(cluster, scenario)


def test_before_anything_runs_it_is_started_anew_instead(cluster):
    async def scenario(desk):
        session = await desk.start(WORK)
        with pytest.raises(SessionError, match=r"cannot be changed.*Nothing runs yet"):
            await desk.account.continue_with(session, 2)

    at_a_desk(cluster, scenario)


def test_stop_and_continue_by_the_command_line(cli, sdk):
    (cli.folder / "images.toml").write_text(
        'schema = 1\n[images.work]\napp = "ssh"\nprofile = "docker-network-ssh"\nrepo = "library/debian"\n'
        "command = \"sh -c 'test -f made.txt || echo first > made.txt; sleep 1000'\"\n"
    )
    cli("launch", "work", "--name", "by-hand", "--hours", "1")
    answer = cli("stop", "by-hand", "--continue", "2")
    assert "by-hand has ended. by-hand-2 goes on with its files, for 2 hours." in answer.err
    assert answer.out.splitlines()[0] == "by-hand-2"
    states = {session["name"]: session["state"] for session in cli("sessions", "--json").json}
    assert (states["by-hand"], states["by-hand-2"]) == ("ended", "ready")
    cli("stop", "by-hand-2", "--no-save")
    assert "in use by by-hand-2:" in cli("delete", "by-hand", "--files", "--yes", expect=1).err
    cli("delete", "by-hand")
    refused = cli("delete", "by-hand", "--files", "--yes", expect=1).err
    assert refused.splitlines()[1].startswith("Did you mean “by-hand-2”?"), "nothing of the next one is deleted"
    assert cli("show", "by-han", "--json").json["name"] == "by-hand-2", "where nothing is lost, a beginning will do"
    for bucket in ("by-hand-in", "by-hand-out"):  # somebody deletes them with another program
        sdk.retrieve_bucket(bucket).delete()
    again = cli("launch", "work", "--name", "third", "--resume", "by-hand-2", "--detach").err
    assert "not brought along with the files of by-hand-2: by-hand-in, by-hand-out" in again
    cli("stop", "third", "--no-save")
    assert "not allowed with" in cli("stop", "by-hand-2", "--continue", "2", "--no-save", expect=2).err
