"""Start: what the form says runs on the cluster, or a sentence says why not."""

from __future__ import annotations

from qarnot.connection import Connection
from qarnot.hardware_constraint import MinimumCoreHardware, MinimumRamHardware, SSDHardware
from qarnot.scheduling_type import OnDemandScheduling
from support.pages import (
    FORM,
    NAME,
    begin,
    cards,
    play_with_account,
    reasons,
    record,
    shows,
    sign_in,
    start,
    tell,
    upload,
)
from support.waiting import turn, until

from qarnot_local import LocalCluster
from run_qarnot.catalog.image import Option
from run_qarnot.core.state import State
from run_qarnot.engine.account import Account
from run_qarnot.page.build import Page
from run_qarnot.page.components.session import SessionCard
from run_qarnot.page.props import planned_hours

AS_BEFORE = {"image": "", "hours": "", "idle": "", "update": False}


def account_of(page: Page) -> Account:
    assert page.account.current is not None
    return page.account.current


async def on_cluster(card: SessionCard) -> None:
    await until(lambda: card.session.view.id, "the session to be on the cluster")


def test_it_starts_what_the_form_says_and_proposes_another_name(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        upload(page.start_card.files, 1, "x", b"abc")
        card = await start(page, "cat x; sleep 60")
        assert page.form.current.name != NAME
        assert page.start_card.files.rows == []
        await shows(card, State.READY)
        (session,) = await account_of(page).sessions()
        assert (session.view.name, session.view.image, planned_hours(session.view)) == (NAME, "base", 4.0)
        assert session.facts is not None
        assert session.facts.constants["RUN_COMMAND"] == "cat x; sleep 60"
        assert session.view.inputs is not None
        storage = account_of(page).client.storage.blocking
        assert [file.key for file in storage.files(session.view.inputs)] == ["x"]
        assert b"".join(storage.read(session.view.inputs, "x")) == b"abc"

    play_with_account(scene, cluster)


def test_a_blocked_start_does_nothing(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        tell(page.start_card, "start", {**FORM, "name": "Bad Name"})
        await turn()
        assert reasons(page) == ["name"]
        begin(page.start_card.files, 1, "x", 3)
        tell(page.start_card, "start", {**FORM, "name": "too-early"})
        await turn()
        assert reasons(page) == ["upload"]
        tell(page.start_card.files, "remove", {"id": 1})
        await on_cluster(await start(page, "sleep 60"))  # what was started before would be there by now
        assert page.start_card.problem is None
        assert list(cards(page)) == [NAME]
        assert cluster.control.count("POST", "/tasks") == 1

    play_with_account(scene, cluster)


def test_a_refusal_is_said_and_the_form_is_kept(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        refusal = {"message": "Not for this account"}
        cluster.control.fail_next("GET", "/profiles", status=403, body=refusal, times=None)  # the page asks, too
        upload(page.start_card.files, 1, "x", b"abc")
        tell(page.start_card, "start", FORM)
        await until(lambda: page.start_card.problem, "the sentence")
        assert "Not for this account" in page.start_card.problem["what"]
        assert not page.start_card.starting
        assert page.form.current.name == NAME
        assert len(page.start_card.files.rows) == 1
        assert cards(page) == {}

    play_with_account(scene, cluster)


def test_what_comes_while_a_start_is_checked_stays(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        cluster.control.delay("/profiles", 1)
        upload(page.start_card.files, 1, "x", b"abc")
        tell(page.start_card, "start", {**FORM, "hours": "1"})
        await until(lambda: page.start_card.starting, "the start to be checked")
        upload(page.start_card.files, 2, "late", b"abc")
        tell(page.start_card, "form", {**FORM, "name": "typed-meanwhile"})
        await until(lambda: cards(page), "the card")
        assert [row["name"] for row in page.start_card.files.rows] == ["late"]
        assert page.form.current.name == "typed-meanwhile"
        await on_cluster(cards(page)[NAME])
        storage = account_of(page).client.storage.blocking
        assert [file.key for file in storage.files(f"{NAME}-in")] == ["x"]

    play_with_account(scene, cluster)


def test_buckets_machine_and_scheduling_are_those_of_the_form(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        tell(page.account_card, "change")
        storage = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token)
        for bucket in ("shared-data", "more", "of-a-session-in"):
            storage.create_bucket(bucket)
        await sign_in(page, cluster.token)
        assert page.start_card.own_buckets == []
        tell(page.start_card, "look")
        await until(lambda: page.start_card.machine_kinds, "the machines to be offered")
        await until(lambda: page.start_card.own_buckets == ["more", "shared-data"], "the buckets to be offered")
        wanted = {"buckets": "shared-data", "scheduling": "on-demand", "cores": "2", "memory": "1", "machine": "ssd"}
        tell(page.start_card, "start", {**FORM, **wanted, "hours": "1"})
        await until(lambda: cards(page), "the card")
        await on_cluster(card := cards(page)[NAME])
        assert card.session.facts is not None
        assert card.session.facts.resources[:2] == ("shared-data", f"{NAME}-in")
        task = storage.retrieve_task(card.session.view.id)
        assert isinstance(task.scheduling_type, OnDemandScheduling)
        assert {type(wish) for wish in task.hardware_constraints} == {
            MinimumCoreHardware,
            MinimumRamHardware,
            SSDHardware,
        }
        tell(page.account_card, "change")
        assert page.start_card.own_buckets == page.start_card.machine_kinds == []

    play_with_account(scene, cluster)


def test_continue_is_the_next_run_whatever_the_form_says(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        upload(page.start_card.files, 1, "x", b"abc")
        card = await start(page, "cat x >> made")
        await shows(card, State.ENDED)
        tell(page.environment_card, "choose", {"id": "torch"})
        upload(page.start_card.files, 2, "other", b"abc")
        tell(card, "go_on", {**AS_BEFORE, "hours": "3"})
        await until(lambda: card.session.view.run == 2 and card.session.view.is_over, "the end of the second run", 60)
        assert list(cards(page)) == [NAME]
        storage = account_of(page).client.storage.blocking
        assert [file.key for file in storage.files(card.session.view.inputs or "")] == ["x"]
        assert b"".join(storage.read(card.session.view.results or "", "made")) == b"abcabc", "files of the first run"
        assert page.form.current.image == "torch"
        assert [row["name"] for row in page.start_card.files.rows] == ["other"]

    play_with_account(scene, cluster)


def test_continue_of_an_ended_line_makes_it_a_card(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        await shows(await start(page, "sleep 60"), State.READY)
        tell(cards(page)[NAME], "stop", {"save": True})
        await shows(cards(page)[NAME], State.ENDED)
        await until(lambda: not cards(page)[NAME].busy, "the stop to be done")
        tell(page.account_card, "change")
        await sign_in(page, cluster.token)
        await until(lambda: page.shell.ended, "the line of the ended session")
        (card,) = page.shell.ended
        assert card.folded
        tell(card, "go_on", AS_BEFORE)
        await shows(card, State.READY)
        assert (page.shell.sessions, page.shell.ended, card.folded) == ([card], [], False)

    play_with_account(scene, cluster)


def test_a_session_of_an_earlier_page_is_started_as_it_was(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        await shows(await start(page, "echo anew", hours="3"), State.ENDED)
        token = cluster.token
        tell(page.account_card, "change")
        await sign_in(page, token)
        card = cards(page)[NAME]
        tell(card, "again")
        assert (page.form.current.image, page.form.current.hours, page.form.current.options) == (
            "base",
            "3",
            {"command": "echo anew"},
        )
        assert page.form.current.resume == card.session.view.id
        del page.catalog.images["base"]
        tell(page.environment_card, "choose", {"id": "torch"})
        for wish, data in (("again", None), ("go_on", AS_BEFORE)):
            card.problem = None
            tell(card, wish, data)
            await until(lambda: card.problem, "a sentence")
            assert "no image called “base”" in card.problem["what"]
        assert page.form.current.image == "torch"
        assert list(cards(page)) == [NAME]

    play_with_account(scene, cluster)


def test_what_was_entered_and_is_not_known_any_more_is_asked_for_again(cluster: LocalCluster) -> None:
    """A plugin has used it, or the cluster hides it. To start without it would be something else."""

    async def scene(page: Page) -> None:
        base = page.catalog.images["base"]
        parts = {**base.options, "parts": Option(label="Parts", type="int", default=1)}
        page.catalog.images["base"] = base.model_copy(update={"options": parts})
        await shows(await start(page, "true"), State.ENDED)
        tell(page.account_card, "change")
        await sign_in(page, cluster.token)
        card = cards(page)[NAME]
        tell(card, "go_on", AS_BEFORE)
        await until(lambda: card.problem, "the sentence")
        assert "the values of parts are no longer known" in card.problem["what"]
        assert list(cards(page)) == [NAME]
        tell(card, "again")
        assert page.form.current.options == {"command": "true"}

    play_with_account(scene, cluster)


def test_a_session_of_an_earlier_page_gets_such_a_machine_again(cluster: LocalCluster) -> None:
    wishes = {"cores": "2", "memory": "3", "scheduling": "on-demand"}

    async def scene(page: Page) -> None:
        tell(page.environment_card, "option", {"name": "command", "value": "true"})
        tell(page.start_card, "start", {**FORM, **wishes})
        await until(lambda: cards(page), "the card")
        await shows(cards(page)[NAME], State.ENDED)
        tell(page.account_card, "change")
        await sign_in(page, cluster.token)
        again = cards(page)[NAME]
        tell(again, "go_on", AS_BEFORE)
        await until(lambda: again.session.view.run == 2 and again.session.view.is_over, "the end of the second run", 60)
        facts = again.session.facts
        assert facts is not None
        assert (facts.hardware, facts.scheduling) == ({"minimum_cores": 2, "minimum_ram_mb": 3000}, "on-demand")
        tell(again, "again")
        assert {name: page.form.current.texts()[name] for name in wishes} == wishes

    play_with_account(scene, cluster)


def test_a_failure_on_the_machine_says_what_to_do_and_can_be_reported(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        card = await start(page, "exit 3")
        await shows(card, State.FAILED)
        await until(lambda: card.problem, "the sentence")
        assert card.view["error"] in card.problem["what"]
        assert "start again" in card.problem["todo"]
        assert f"{NAME}-in" in card.problem["todo"]

    play_with_account(scene, cluster)


def test_a_refused_submission_is_said_on_the_card_and_can_be_tried_again(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        cluster.control.full_quota("credits")
        upload(page.start_card.files, 1, "x", b"abc")
        card = await start(page, "sleep 60", hours="3")
        await shows(card, State.FAILED)
        assert "not have enough credits" in card.view["error"]
        await until(lambda: card.problem, "the sentence")
        tell(card, "again")
        assert (page.form.current.hours, page.form.current.options) == ("3", {"command": "sleep 60"})
        assert [row["name"] for row in page.start_card.files.rows] == ["x"]

    play_with_account(scene, cluster)


def test_copy_fills_the_form_and_takes_the_files_of_the_session(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        upload(page.start_card.files, 1, "x", b"abc")
        tell(page.environment_card, "choose", {"id": "torch"})
        tell(page.environment_card, "option", {"name": "workers", "value": "3"})
        tell(page.start_card, "start", {**FORM, "hours": "1"})
        await until(lambda: cards(page), "the card")
        card = cards(page)[NAME]
        await on_cluster(card)
        tell(page.environment_card, "choose", {"id": "base"})
        calls = record(page.start_card)
        tell(card, "again")
        assert (page.form.current.image, page.form.current.hours, page.form.current.options) == (
            "torch",
            "1",
            {"workers": "3"},
        )
        assert (page.form.current.resume, page.start_card.files.rows) == (card.session.view.id, [])
        assert page.environment_card.chosen == "torch"
        assert ("come_here", []) in calls
        assert list(cards(page)) == [NAME]
        assert cluster.control.count("POST", "/tasks") == 1

    play_with_account(scene, cluster)
