"""What can go wrong with a machine and the app on it: see `test_failures.py`, of which this is the other half."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from support.command import CommandLine, read_line
from support.desk import MACHINE, SECONDS, Desk, address_of, at_a_desk, facts_of, page_on, until
from support.servers import get
from support.ssh import make_key
from support.waiting import wait_until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.catalog.image import Ready
from run_qarnot.core.errors import InputError, SessionError
from run_qarnot.core.state import ALIVE, State
from run_qarnot.engine import readiness
from run_qarnot.engine.ports import free_ports, is_free
from run_qarnot.engine.session import Session
from run_qarnot.model import keys
from run_qarnot.model.files import Upload
from run_qarnot.model.spec import SessionSpec

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]


@pytest.fixture
def cluster(calm: LocalCluster) -> Any:
    return calm


async def on_machine(cluster: LocalCluster, session: Session, command: str) -> Any:
    """Run a command where the session runs, by SSH with the session's own key."""
    forward = facts_of(session).forwards[0]
    key = asyncssh.import_private_key(keys.derive_session_key(cluster.token, facts_of(session).launch_id).private)
    async with asyncssh.connect(
        forward.host, forward.port, username="root", client_keys=[key], known_hosts=None, config=None
    ) as connection:
        return (await connection.run(command, check=True)).stdout


# — it never gets ready —


def test_the_forward_never_opens_and_stop_works_all_the_same(cluster: LocalCluster, control: Control) -> None:
    control.hold("forward")

    async def scenario(desk: Desk) -> Any:
        session = await desk.start()
        async with desk.following(session):
            await until(session, lambda view: view.state is State.STARTING, "the machine to be up")
            assert session.view.connections == ()
            started = time.monotonic()
            await session.stop(save=False)
            assert time.monotonic() - started < 10
        return session.view

    assert at_a_desk(cluster, scenario).state is State.ENDED


def test_the_app_never_answers_and_its_log_is_kept(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_LONG_SECONDS", 1.0)
    control.hold("app")
    image = page_on(next(iter(free_ports(20000))))
    image = image.model_copy(
        update={"command": image.command.replace("until", "echo its last words; date > kept; until")}
    )

    async def scenario(desk: Desk) -> Any:
        session = await desk.start(image)
        async with desk.following(session):
            await until(session, lambda view: view.state is State.STARTING, "the machine to be up")
            assert "the application is not answering yet" in str(session.view.phase)
            await until(
                session, lambda view: "has not answered for a long time: its log" in str(view.phase), "that to be said"
            )
            assert (session.view.state, session.view.connections) == (State.STARTING, ())
            started = time.monotonic()
            await session.stop()
            assert time.monotonic() - started < 10
        return session.view, await session.logs(), [file.key for file in await session.results.files()]

    view, printed, kept = at_a_desk(cluster, scenario)
    assert (view.state, view.reason) == (State.ENDED, "stopped")
    assert "its results are kept" in str(view.phase)
    assert "its last words" in printed
    assert "kept" in kept


def test_an_app_that_answers_late_is_ready_when_it_does(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_LONG_SECONDS", 1.0)
    control.hold("app")

    async def scenario(desk: Desk) -> None:
        session = await desk.start(page_on(next(iter(free_ports(20100)))))
        async with desk.following(session):
            await until(session, lambda view: "has not answered for a long time" in str(view.phase), "that to be said")
            control.release("app")
            view = await until(session, lambda view: view.state is State.READY, "it to answer")
            assert str(view.phase) == "Ready: the application answers"
            await session.stop(save=False)

    at_a_desk(cluster, scenario)


def test_the_image_prints_its_link_late_in_pieces_and_twice(
    cluster: LocalCluster, control: Control, tmp_path: Path
) -> None:
    """Of an image that takes one key, the user's, we see nothing but what it prints."""
    first, second = ("http://localhost:8888/lab?token=" + token for token in ("first-0123456789", "second-456789"))
    wait = "until test -e {}; do sleep 0.1; done"
    command = f"printf %s {first[:-6]}; {wait.format('on')}; echo {first[-6:]}; echo {second}; sleep 1000"
    image = MACHINE.model_copy(
        update={
            "id": "prints",
            "app": "web",
            "port": 8888,
            "ssh_keys": keys.KeyPolicy.ONE,
            "command": f"sh -c '{command}'",
        }
    ).model_copy(update={"ready": Ready(pattern=r"http://localhost:8888/lab\?token=(?P<token>[\w-]{8,})")})
    (tmp_path / "on").write_text("on")

    async def scenario(desk: Desk) -> Any:
        desk.account.catalog.images["prints"] = image
        spec = SessionSpec(image, "prints", 1, user_key=make_key(tmp_path).read_text())
        session = await desk.account.start(spec, [])
        async with desk.following(session):
            await until(session, lambda view: view.state is State.STARTING, "the machine to be up")
            loop = asyncio.get_running_loop()
            printed = lambda: first[:-6] in asyncio.run_coroutine_threadsafe(session.logs(), loop).result()  # noqa: E731
            await asyncio.to_thread(wait_until, printed, "half a link to be printed")
            control.clear_calls()
            read = lambda: control.count("GET", "/tasks/*/stdout") > 2  # noqa: E731
            await asyncio.to_thread(wait_until, read, "the output to be read with half a link in it")
            assert session.view.state is State.STARTING
            await session.add([Upload(tmp_path / "on", "on")])
            view = await until(session, lambda view: view.state is State.READY, "the link to be found")
            await session.stop(save=False)
            return view.connections[-1].url

    assert "second-456789" in at_a_desk(cluster, scenario)


# — moved to another machine —


@pytest.mark.parametrize("when", ["loading", "starting", "ready"])
def test_it_is_preempted_and_the_connections_are_renewed_by_themselves(
    cluster: LocalCluster, control: Control, when: Any
) -> None:
    image = page_on(next(iter(free_ports(21000))))
    if when != "ready":
        control.hold({"loading": "FullyDispatched", "starting": "forward"}[when])

    async def scenario(desk: Desk) -> Any:
        session = await desk.start(image)
        async with desk.following(session):
            await until(session, lambda view: view.state.value == when, f"it to be {when}")
            address = session.app_address()
            control.preempt(session.view.id)
            control.release()
            session._run._wake.set()
            view = await until(session, lambda view: view.attempt >= 2 and view.state is State.READY, "it to be back")
            assert str(view.phase) == "Ready again: the application answers on another machine, with the saved files"
            renewed = await address_of(session)
            assert await asyncio.to_thread(get, renewed)
            assert address in {None, renewed}, "the address in the user's browser stays the same"
            await session.stop(save=False)
        return view, [heard.state for heard in desk.heard]

    view, states = at_a_desk(cluster, scenario)
    assert view.connections
    assert State.FAILED not in states
    assert State.ENDED not in states[:-3]


def test_its_port_is_kept_while_its_machine_is_away(cluster: LocalCluster, control: Control) -> None:
    """Taken by another session meanwhile, what is open in the user's browser would be the other one's."""

    async def scenario(desk: Desk) -> None:
        async with desk.ready(page_on(next(iter(free_ports(23000))))) as session:
            address = await address_of(session)
            port = urllib.parse.urlsplit(address).port or 0
            control.hold("FullyDispatched")
            control.preempt(session.view.id, state="Submitted")
            session._run._wake.set()
            await until(session, lambda view: view.state is State.WAITING, "the loss of its machine to be seen")
            assert not is_free(port)
            with pytest.raises(OSError, match=r"closed|reset|Remote end"):
                await asyncio.to_thread(get, address)
            control.release()
            session._run._wake.set()
            await until(session, lambda view: view.state is State.READY, "it to be back")
            assert await address_of(session) == address
            assert await asyncio.to_thread(get, address)
        assert is_free(port)

    at_a_desk(cluster, scenario)


def test_other_keys_open_no_second_tunnel(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(page_on(next(iter(free_ports(24000))))) as session:
            address = await address_of(session)
            session.use_own_keys(keys.derive_session_key(cluster.token, facts_of(session).launch_id).private)
            await session.poll()  # lets go of the tunnel, and opens it again at the next look
            session._run._wake.set()
            await until(session, lambda _: session.app_address() is not None, "the tunnel to be open again")
            assert await address_of(session) == address
            assert await asyncio.to_thread(get, address)
        assert is_free(urllib.parse.urlsplit(address).port or 0)

    at_a_desk(cluster, scenario)


def test_the_tunnel_leads_to_the_machine_whose_host_key_was_printed_and_to_no_other(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    printed = tmp_path / "printed"
    wrong = "SHA256:" + "A" * 43
    printed.write_text(f"Run Qarnot: SSH host key {wrong}\n")
    page = page_on(next(iter(free_ports(24000))))
    command = page.command.replace("sh -c '", f"sh -c 'tail -n +1 -f {printed} & ")
    image = page.model_copy(update={"command": command, "constants": {"RUN_QARNOT_START": "bundled"}})

    async def scenario(desk: Desk) -> None:
        session = await desk.start(image)
        async with desk.following(session):
            await until(session, lambda view: "printed" in str(view.note), "the wrong machine to be noticed")
            assert "another host key than the one that the session printed; nothing was sent" in str(session.view.note)
            assert not session._run.access.is_open
            forward = facts_of(session).forwards[0]
            shown = await asyncssh.get_server_host_key(forward.host, forward.port, config=None)
            assert shown is not None
            with printed.open("a") as file:
                file.write(f"started again\nRun Qarnot: SSH host key {shown.get_fingerprint()}\nand more\n")
            access = session._run.access
            await asyncio.to_thread(wait_until, lambda: access.is_open, "the tunnel to the right machine")
            await until(session, lambda view: view.state is State.READY, "the page to answer")
            spec, proxied = session.tunnel_spec(), session.proxied()
            assert spec is not None
            assert spec.fingerprints == (shown.get_fingerprint(),)
            assert proxied is None or proxied.host_keys == spec.fingerprints
            assert await asyncio.to_thread(get, await address_of(session))
            await session.stop(save=False)

    at_a_desk(cluster, scenario)


def test_a_preempted_session_is_entered_on_its_next_machine_with_another_host_key(
    cluster: LocalCluster, control: Control
) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(page_on(next(iter(free_ports(24000))))) as session:
            before = session.tunnel_spec()
            control.preempt(session.view.id)
            session._run._wake.set()
            await until(session, lambda view: view.attempt == 2 and view.state is State.READY, "it to be ready again")
            after = session.tunnel_spec()
            assert before is not None
            assert after is not None
            assert before.host_key != after.host_key
            assert await asyncio.to_thread(get, await address_of(session))

    at_a_desk(cluster, scenario)


def test_preempted_into_the_queue_it_is_said_to_wait_and_not_to_have_a_machine(
    cluster: LocalCluster, control: Control
) -> None:
    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            control.hold("FullyDispatched")
            control.preempt(session.view.id, state="Submitted")
            session._run._wake.set()
            view = await until(session, lambda view: view.attempt == 2, "the loss of its machine to be seen")
            assert (view.state, view.connections) == (State.WAITING, ())
            control.release()
            session._run._wake.set()
            await until(session, lambda view: view.state is State.READY, "it to be back")
            return [heard.state for heard in desk.heard]

    states = at_a_desk(cluster, scenario)
    again = states[states.index(State.READY) :]
    assert again.index(State.WAITING) < again.index(State.STARTING)


def test_what_was_saved_is_back_on_the_next_machine_and_wins_over_the_inputs(
    cluster: LocalCluster, control: Control, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("as it was uploaded")
    image = page_on(next(iter(free_ports(22000))))

    async def scenario(desk: Desk) -> None:
        session = await desk.start(image, [Upload(tmp_path / "notes.txt", "notes.txt")])
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "it to be ready")
            await on_machine(cluster, session, "echo edited > notes.txt; echo made > made.txt")
            await session.save()
            control.preempt(session.view.id)
            session._run._wake.set()
            await until(session, lambda view: view.attempt >= 2 and view.state is State.READY, "it to be back")
            assert await asyncio.to_thread(get, await address_of(session), "made.txt") == "made\n"
            assert await asyncio.to_thread(get, await address_of(session), "notes.txt") == "edited\n"
            assert session.view.inputs == f"{session.view.name}-in"
            await session.stop(save=False)

    at_a_desk(cluster, scenario)


def test_files_that_are_added_bring_no_older_work_back_with_them(cluster: LocalCluster, tmp_path: Path) -> None:
    """The machine is told to get all resources that have changed, and what it saved itself is among them."""
    (tmp_path / "late.txt").write_text("late")

    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            await on_machine(cluster, session, "echo older > work.txt")
            await session.save()
            await on_machine(cluster, session, "echo newer > work.txt")
            await session.add([Upload(tmp_path / "late.txt", "late.txt")])
            wait = "until test -e late.txt; do sleep 0.1; done; cat work.txt"
            assert await on_machine(cluster, session, wait) == "newer\n"

    at_a_desk(cluster, scenario)


def test_files_that_are_added_by_a_command_while_it_is_loaded_reach_the_machine(
    cluster: LocalCluster, control: Control, tmp_path: Path
) -> None:
    (tmp_path / "late.txt").write_text("late")
    control.hold("FullyDispatched")
    cli = CommandLine.of_account(cluster, tmp_path)

    async def scenario(desk: Desk) -> None:
        session = await desk.start()
        async with desk.following(session):
            await until(session, lambda view: view.state is State.LOADING, "a machine")
            command = cli.start("add", session.view.name, "late.txt")
            told = await asyncio.to_thread(read_line, command.stderr)
            while told and "waiting until its machine runs" not in told:
                told = await asyncio.to_thread(read_line, command.stderr)
            control.release()
            assert "1 file added" in (await asyncio.to_thread(command.communicate, timeout=SECONDS))[1]
            await until(session, lambda view: view.state is State.READY, "it to be ready")
            wait = "until test -e late.txt; do sleep 0.1; done; cat late.txt"
            assert await asyncio.wait_for(on_machine(cluster, session, wait), SECONDS) == "late"
            await session.stop(save=False)

    at_a_desk(cluster, scenario)


def test_files_that_are_added_when_its_results_travel_already_are_too_late(
    cluster: LocalCluster, control: Control, tmp_path: Path
) -> None:
    (tmp_path / "late.txt").write_text("late")
    control.hold("UploadingResults")
    over = MACHINE.model_copy(update={"id": "over", "command": "true"})

    async def scenario(desk: Desk) -> None:
        session = await desk.start(over)
        async with desk.following(session):
            await until(session, lambda view: view.state is State.SAVING, "the end of its work")
            with pytest.raises(SessionError, match="is no longer running"):
                await session.add([Upload(tmp_path / "late.txt", "late.txt")])
            control.release()
            await until(session, lambda view: view.is_over, "its end")

    at_a_desk(cluster, scenario)


def test_a_file_that_the_machine_changed_is_replaced_only_when_asked(cluster: LocalCluster, tmp_path: Path) -> None:
    """Its own version, saved after the inputs, would win: it said “added”, and the machine never had the new one."""
    (tmp_path / "table.csv").write_text("mine")
    (tmp_path / "new.csv").write_text("corrected")

    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            await on_machine(cluster, session, "echo theirs > table.csv; echo other > other.csv")
            with pytest.raises(InputError, match=r"The session has changed “table\.csv” and keeps"):
                await session.add([Upload(tmp_path / "table.csv", "table.csv")])
            assert await on_machine(cluster, session, "cat table.csv") == "theirs\n"
            await session.add([Upload(tmp_path / "table.csv", "table.csv")], replace=True)
            await session.add([Upload(tmp_path / "new.csv", "new.csv")])
            wait = "until test -e new.csv; do sleep 0.1; done; cat table.csv other.csv"
            assert await on_machine(cluster, session, wait) == "mineother\n"

    at_a_desk(cluster, scenario)


def test_it_is_preempted_while_it_is_saved(cluster: LocalCluster, control: Control) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            control.hold("snapshot")
            saving = asyncio.create_task(session.save())
            await until(session, lambda view: "Saving" in str(view.note), "the snapshot to begin")
            control.preempt(session.view.id)
            control.release()
            result = (await asyncio.gather(saving, return_exceptions=True))[0]
            assert result is None or isinstance(result, SessionError)
            session._run._wake.set()
            await until(session, lambda view: view.attempt >= 2 and view.state is State.READY, "it to be back")
            await session.save()
            assert session.view.saved is not None

    at_a_desk(cluster, scenario)


def test_whatever_went_wrong_nothing_is_left_running(cluster: LocalCluster) -> None:
    """The last test of the file: of all sessions above, none lives."""

    async def scenario(desk: Desk) -> Any:
        return [session.view for session in await desk.account.sessions() if session.view.state in ALIVE]

    assert at_a_desk(cluster, scenario) == []
