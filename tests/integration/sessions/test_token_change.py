"""After a change of the account's token, a session that the token before started says what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import CommandLine
from support.desk import MACHINE, Desk, address_of, at_a_desk, page_on
from support.ports import free_port
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.core import language
from run_qarnot.core.state import State
from run_qarnot.engine.session import OTHER_TOKEN, Session
from run_qarnot.page.props import session_row

NEW_TOKEN = "the-other-token-of-the-same-account"


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster


def test_the_command_line_says_which_token_is_needed(cluster: LocalCluster, tmp_path: Path) -> None:
    cli = CommandLine.of_account(cluster, tmp_path)
    cli("launch", "base", "--name", "older", "--detach")
    wait_until(lambda: cli("show", "older", "--json").json["state"] == "ready", "JupyterLab to answer", seconds=90)
    cluster.control.change_token(NEW_TOKEN)
    assert "does not accept this token" in cli("show", "older", expect=1).err
    newer = cli.with_environment(QARNOT_CLIENT_TOKEN=NEW_TOKEN)
    shown = newer("show", "older")
    assert str(OTHER_TOKEN) in shown.out
    assert "denied" not in shown.out + shown.err
    assert newer("show", "older", "--json").json["state"] == "ready"
    refused = newer("open", "older", "--no-browser", expect=1)
    assert refused.err.splitlines() == [
        "“older” was started with another Qarnot token, from which its key is derived.",
        "Use that token to open it, or stop it and start it again; what it has saved is kept. "
        "`run-qarnot stop older`, then `run-qarnot start older`.",
    ]
    newer("stop", "older", "--no-save")
    again = newer("launch", "base", "--name", "newer", "--detach")
    assert again.out.strip() == "newer"
    assert str(OTHER_TOKEN) not in newer("show", "newer").out
    newer("stop", "newer", "--no-save")


def test_the_card_says_it_and_offers_no_tunnel(cluster: LocalCluster) -> None:
    image = page_on(free_port())

    async def scenario(desk: Desk) -> None:
        desk.account.catalog.images[image.id] = image
        async with desk.ready(image) as session:
            assert session.facts is not None
            assert not session.needs_other_token
            assert await address_of(session)
            other = Session.found(desk.account.client, desk.account.catalog, NEW_TOKEN, [session.facts])
            assert other.needs_other_token
            assert not other.knows_session_key
            async with desk.following(other):
                view = await other.until(lambda view: view.note == OTHER_TOKEN)
            row = session_row(view, "page", desk.account.client.now())
            assert row["phase"] == str(OTHER_TOKEN)
            assert not any(connection.kind == "tunnel" and connection.url for connection in view.connections)

    at_a_desk(cluster, scenario)


def test_what_the_cluster_does_not_tell_is_taken_for_right(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(MACHINE) as session:
            facts = session.facts
            assert facts is not None
            for told in ("", "[SECRET]"):
                constants = {**facts.constants, "DOCKER_SSH": told}
                hidden = type(facts)(**{**vars(facts), "constants": constants})
                session._run.facts = hidden
                assert session.needs_other_token is bool(told and "ssh" in told)
            session._run.facts = facts
            assert session.view.state is State.READY

    at_a_desk(cluster, scenario)


def test_it_is_said_in_french() -> None:
    language.set_language("fr")
    try:
        assert str(OTHER_TOKEN).startswith("Elle a été démarrée avec un autre jeton")
    finally:
        language.set_language("en")
