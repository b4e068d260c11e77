"""The page's behaviour with a fake engine: account, form, sessions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from page.support.fake_engine import GOOD_TOKEN, FakeAccount, FakeSession, view
from page.support.pages import end, make_page, record, tell, until
from run_qarnot import language
from run_qarnot.errors import RefusedError, SessionError
from run_qarnot.files import StoredFile
from run_qarnot.page.app import Page
from run_qarnot.page.components.session import SessionCard
from run_qarnot.page.sessions import PATIENCE_SECONDS
from run_qarnot.state import State

FORM = {"name": "calm-heron-42", "hours": "4", "resume": "", "key": ""}
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"


def play(
    scene: Callable[[Page, FakeAccount], Awaitable[None]], account: FakeAccount | None = None, **options: str
) -> None:
    """Play a scene on a page."""

    async def whole() -> None:
        made = account or FakeAccount()
        page = make_page(made, **options)
        try:
            await scene(page, made)
        finally:
            await end(page)

    asyncio.run(whole())


async def sign_in(page: Page, token: str = GOOD_TOKEN) -> None:
    tell(page.account_card, "check", {"token": token})
    await until(lambda: page.account_card.state == "known", "the account")
    await until(lambda: not page.shell.finding, "the sessions")


def reasons(page: Page) -> list[str]:
    return [blocker["field"] for blocker in page.start_card.blockers]


def only_card(page: Page) -> SessionCard:
    (card,) = page.shell.sessions
    assert isinstance(card, SessionCard)
    return card


def synced(page: Page) -> str:
    """All that the browser is sent as state."""
    cards = [page.start_card, *page.shell.sessions]
    widgets = [page.shell, page.account_card, page.environment_card, *cards]
    widgets += [part for card in cards for name in ("share", "files", "results") if (part := getattr(card, name, None))]
    return json.dumps([widget.get_state() for widget in widgets], default=str)


class TestAccount:
    def test_a_good_token_opens_it_and_is_in_no_trait(self) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            assert reasons(page) == ["token"]
            await sign_in(page, f" {GOOD_TOKEN}\n")
            assert page.account_card.trimmed
            assert page.account_card.summary["email"] == "ada@example.org"
            assert reasons(page) == []
            assert GOOD_TOKEN not in synced(page)

        play(scene)

    @pytest.mark.parametrize("token", ["wrong-token-1", "", "  ", "two words", "jetön"])
    def test_a_bad_one_gets_a_sentence(self, token: str) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            tell(page.account_card, "check", {"token": token})
            await until(lambda: page.account_card.problem, "the sentence")
            assert page.account_card.state == "asking"
            assert page.account_card.problem["todo"]
            await sign_in(page)
            assert page.account_card.problem is None

        play(scene)

    @pytest.mark.parametrize("data", [None, {}, {"token": 3}, {"token": ["x"]}, {"token": "x" * 5000}])
    def test_hostile_messages_are_dropped(self, data: object) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            tell(page.account_card, "check", data)
            await asyncio.sleep(0)
            assert page.account_card.state == "asking"

        play(scene)

    def test_the_operators_token_needs_no_field(self) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            await until(lambda: page.account_card.state == "known", "the account")
            assert page.account_card.preset
            assert GOOD_TOKEN not in synced(page)

        play(scene, token=GOOD_TOKEN)

    def test_change_forgets_everything(self) -> None:
        async def scene(page: Page, account: FakeAccount) -> None:
            await sign_in(page)
            upload(page, 1, "x", b"abc")
            tell(page.start_card, "form", {**FORM, "resume": "id-old"})
            tell(page.account_card, "change")
            await until(lambda: account.closed, "the connection to be closed")
            assert page.account is None
            assert page.account_card.summary is None
            assert page.shell.sessions == []
            assert page.start_card.files.rows == []
            assert page.form.resume == ""
            assert reasons(page) == ["token"]

        play(scene, FakeAccount(found=[]))


def upload(page: Page, number: int, name: str, data: bytes) -> None:
    tell(page.start_card.files, "begin", {"id": number, "name": name, "size": len(data)})
    if data:
        tell(page.start_card.files, "part", {"id": number, "offset": 0}, data)
    tell(page.start_card.files, "finish", {"id": number})


class TestForm:
    def test_an_image_is_chosen_from_the_start(self) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            assert page.environment_card.chosen == "base"
            assert page.start_card.image_title == "JupyterLab"
            assert [row["title"] for row in page.environment_card.broken] == ["broken"]
            tell(page.environment_card, "choose", {"id": "torch"})
            assert [row["name"] for row in page.environment_card.options] == ["workers", "secret"]
            assert page.start_card.draft["only"] == ["hours"]
            for other in ("broken", "nothing", ""):
                tell(page.environment_card, "choose", {"id": other})
            assert page.environment_card.chosen == "torch"

        play(scene)

    def test_a_private_key_is_erased_refused_and_kept_nowhere(self) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            calls = record(page.start_card)
            tell(page.start_card, "form", {**FORM, "key": PRIVATE})
            assert ("erase_key", []) in calls
            assert page.start_card.problem["field"] == "ssh-key"
            assert "AAAA" not in synced(page) + repr(vars(page.form))

        play(scene)

    def test_a_secret_option_is_in_no_trait(self) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            tell(page.environment_card, "choose", {"id": "torch"})
            tell(page.environment_card, "option", {"name": "secret", "value": "hunter2-hunter2"})
            assert "hunter2" not in synced(page)

        play(scene)

    @pytest.mark.parametrize("value", [None, {"a": 1}, [1], [["x"]], float("nan"), "x" * 10_001])
    def test_hostile_options_are_dropped(self, value: object) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            tell(page.environment_card, "choose", {"id": "torch"})
            tell(page.environment_card, "option", {"name": "workers", "value": value})
            tell(page.environment_card, "option", {"name": "nothing", "value": "1"})
            assert page.form.options == {}

        play(scene)

    def test_files_come_and_go(self) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            await sign_in(page)
            calls = record(page.start_card.files)
            tell(page.start_card.files, "begin", {"id": 1, "name": "data.csv", "size": 6})
            assert reasons(page) == ["upload"]
            tell(page.start_card.files, "part", {"id": 1, "offset": 0}, b"abc")
            tell(page.start_card.files, "part", {"id": 1, "offset": 0}, b"abc")
            tell(page.start_card.files, "part", {"id": 1, "offset": 3}, b"def")
            assert [call for call in calls if call[0] == "have"] == [
                ("have", [1, 3]),
                ("have", [1, 3]),
                ("have", [1, 6]),
            ]
            tell(page.start_card.files, "finish", {"id": 1})
            assert reasons(page) == []
            tell(page.start_card.files, "remove", {"id": 1})
            assert page.start_card.files.rows == []

        play(scene)

    @pytest.mark.parametrize("number", [-1, 1.5, "1", None, True, 2**60])
    def test_hostile_uploads_are_dropped(self, number: object) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            for name in ("begin", "part", "query", "finish", "remove"):
                tell(
                    page.start_card.files,
                    name,
                    {"id": number, "name": "x", "size": 3, "offset": 0},
                    *([b"abc"] * (name == "part")),
                )
            assert page.start_card.files.rows == []
            assert page.start_card.files.problem is None

        play(scene)

    def test_a_refused_file_is_said_and_the_browser_stops_sending(self) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            calls = record(page.start_card.files)
            tell(page.start_card.files, "begin", {"id": 1, "name": "../x", "size": 3})
            assert ("refused", [1]) in calls
            assert page.start_card.files.problem["field"] == "upload"

        play(scene)


class TestStart:
    def test_it_starts_what_the_form_says_and_proposes_another_name(self) -> None:
        async def scene(page: Page, account: FakeAccount) -> None:
            await sign_in(page)
            upload(page, 1, "x", b"abc")
            tell(page.start_card, "start", FORM)
            await until(lambda: page.shell.sessions, "the card")
            ((spec, files),) = account.started
            assert (spec.name, spec.image.id, spec.hours) == ("calm-heron-42", "base", 4.0)
            assert [(file.key, file.path.read_bytes()) for file in files] == [("x", b"abc")]
            assert page.form.name != "calm-heron-42"
            assert page.start_card.files.rows == []
            await until(lambda: only_card(page).session.following, "somebody to follow it")  # type: ignore[attr-defined]

        play(scene)

    def test_a_blocked_start_does_nothing(self) -> None:
        async def scene(page: Page, account: FakeAccount) -> None:
            await sign_in(page)
            tell(page.start_card, "start", {**FORM, "name": "Bad Name"})
            await asyncio.sleep(0.01)
            assert account.started == []
            assert reasons(page) == ["name"]

        play(scene)

    def test_a_refusal_is_said_and_the_form_is_kept(self) -> None:
        async def scene(page: Page, account: FakeAccount) -> None:
            await sign_in(page)
            account.refuse_start = RefusedError("credits", message="0 left")
            upload(page, 1, "x", b"abc")
            tell(page.start_card, "start", FORM)
            await until(lambda: page.start_card.problem, "the sentence")
            assert not page.start_card.starting
            assert page.form.name == "calm-heron-42"
            assert len(page.start_card.files.rows) == 1

        play(scene)

    def test_start_again_brings_back_form_and_files(self) -> None:
        async def scene(page: Page, account: FakeAccount) -> None:
            await sign_in(page)
            upload(page, 1, "x", b"abc")
            tell(page.environment_card, "choose", {"id": "torch"})
            tell(page.environment_card, "option", {"name": "workers", "value": "3"})
            tell(page.start_card, "start", {**FORM, "hours": "1"})
            await until(lambda: page.shell.sessions, "the card")
            tell(page.environment_card, "choose", {"id": "base"})
            tell(only_card(page), "again")
            assert (page.form.image, page.form.hours, page.form.options) == ("torch", "1", {"workers": "3"})
            assert [row["name"] for row in page.start_card.files.rows] == ["x"]
            assert page.environment_card.chosen == "torch"
            assert len(account.started) == 1

        play(scene)


class TestSessions:
    def test_they_are_found_again_and_the_living_are_followed(self) -> None:
        async def scene(page: Page, account: FakeAccount) -> None:
            await sign_in(page)
            assert [card.view["name"] for card in page.shell.sessions] == ["a", "b"]
            assert [card.folded for card in page.shell.sessions] == [False, True]
            await until(lambda: account.found[0].following == 1, "it to be followed")
            assert account.found[1].following == 0
            assert [row["name"] for row in page.start_card.resumable] == ["a", "b", "old"]
            tell(page.shell.sessions[1], "again")
            assert page.form.resume == "id-b"

        long_ago = datetime.now(UTC) - timedelta(days=30)
        play_with = [
            view("a", State.READY),
            view("b", State.ENDED, reason="stopped", ended=datetime.now(UTC)),
            view("old", State.ENDED, reason="stopped", ended=long_ago),
        ]

        async def whole() -> None:
            account = FakeAccount(found=[FakeSession(one) for one in play_with])
            page = make_page(account)
            try:
                await scene(page, account)
            finally:
                await end(page)

        asyncio.run(whole())

    def test_watching_rests_when_nobody_looks(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            await until(lambda: session.following == 1, "it to be followed")
            page.sessions.check(page.shell.seen + PATIENCE_SECONDS + 1)
            await until(lambda: session.following == 0, "it to rest")
            tell(page.shell, "ping")
            page.sessions.check(page.shell.seen + 1)
            await until(lambda: session.following == 1, "it to go on")

        with_session(scene)

    def test_changes_are_shown_at_most_ten_times_a_second_and_the_last_always(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            card, shown = only_card(page), []
            card.observe(lambda change: shown.append(change["new"]["phase"]), "view")
            for number in range(1000):
                session.become(note=f"step {number}")
            await until(lambda: shown and shown[-1] == "step 999", "the last step")
            assert len(shown) <= 3

        with_session(scene)

    def test_a_change_of_state_is_read_out(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            session.become(state=State.READY)
            await until(lambda: "JupyterLab answers" in page.shell.announcement, "the announcement")

        with_session(scene)

    def test_save_and_stop_reach_the_session_and_their_failure_the_card(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            card = only_card(page)
            tell(card, "save")
            tell(card, "save")  # pressed twice
            await until(lambda: card.view["saved"] and not card.busy, "the save")
            session.fail_next = SessionError("save-failed", name="x", message="no room")
            tell(card, "stop", {"save": True})
            await until(lambda: card.problem, "the sentence")
            assert "no room" in card.problem["what"]
            assert not card.busy
            tell(card, "stop", {"save": "yes"})  # hostile
            tell(card, "stop", {"save": False})
            await until(lambda: card.results.listing is not None, "the results")
            assert session.asked == ["save", "stop", "stop --no-save"]
            assert card.results.listing["count"] == 1

        with_session(scene)

    def test_a_failure_shows_its_reason_and_the_output(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            card = only_card(page)
            calls = record(card)
            session.become(state=State.FAILED, reason="failed", error="The image is not there.")
            await until(lambda: ("show_log", []) in calls, "the output to be unfolded")
            session.print("last words", "http://localhost:8888/?token=abcdef")
            assert card.view["error"] == "The image is not there."
            assert ("append", [["last words", "http://localhost:8888/?token=[hidden]"]]) in calls

        with_session(scene)

    def test_output_is_fetched_only_while_it_is_unfolded(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            card = only_card(page)
            assert not session.listens
            tell(card, "log", {"open": True})
            tell(card, "log", {"open": True})
            assert session.listens
            tell(card, "log", {"open": False})
            assert not session.listens

        with_session(scene)

    def test_without_a_server_for_downloads_a_sentence_says_so(self) -> None:
        async def scene(page: Page, _session: FakeSession) -> None:
            results = only_card(page).results
            tell(results, "download", {"keys": []})
            await until(lambda: results.problem, "the sentence")
            assert "does not offer downloads" in results.problem["what"]

        with_session(scene)


def with_session(scene: Callable[[Page, FakeSession], Awaitable[None]]) -> None:
    """Play a scene on a page with one session."""

    async def whole() -> None:
        session = FakeSession(view(), [StoredFile("a.txt", 3, datetime.now(UTC))])
        page = make_page(FakeAccount(found=[session]))
        try:
            await sign_in(page)
            await scene(page, session)
        finally:
            await end(page)

    asyncio.run(whole())


class TestLinks:
    def test_a_link_fills_the_form_and_starts_nothing(self) -> None:
        async def scene(page: Page, account: FakeAccount) -> None:
            page.fill("opt-image=torch&opt-workers=3&opt-hours=2&opt-secret=hunter2-hunter2&token=abcdefgh")
            await sign_in(page)
            assert page.environment_card.chosen == "torch"
            assert page.form.options == {"workers": "3"}
            assert page.start_card.draft["hours"] == "2"
            assert page.shell.link["token"]
            assert page.shell.link["erase"] == ["token", "opt-secret"]
            assert len(page.shell.link["ignored"]) == 1
            assert "hunter2" not in synced(page)
            assert "abcdefgh" not in synced(page)
            assert account.started == []

        play(scene)

    def test_an_ordinary_address_fills_nothing(self) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            page.fill("utm_source=mail")
            assert page.shell.link is None
            assert page.form.image == "base"

        play(scene)

    def test_sharing_the_form_gives_what_is_typed_without_secrets(self) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            share = page.start_card.share
            tell(page.environment_card, "choose", {"id": "torch"})
            tell(page.environment_card, "option", {"name": "workers", "value": "4"})
            tell(page.environment_card, "option", {"name": "secret", "value": "hunter2-hunter2"})
            tell(share, "make", {"address": "https://page.example.org/"})
            assert share.shared["link"] == "https://page.example.org/?opt-image=torch&opt-hours=2&opt-workers=4"
            assert share.shared["badge"].endswith(f"]({share.shared['link']})")
            tell(page.environment_card, "option", {"name": "workers", "value": "99"})
            assert share.shared is None, "what was shared is not true any more"
            tell(share, "make", {"address": "https://page.example.org/"})
            assert "99" in share.problem["what"]

        play(scene)

    @pytest.mark.parametrize("address", ["javascript:alert(1)", "", 3, None, "x" * 9000])
    def test_only_a_web_address_is_shared(self, address: object) -> None:
        async def scene(page: Page, _account: FakeAccount) -> None:
            tell(page.start_card.share, "make", {"address": address})
            assert page.start_card.share.shared is None

        play(scene)

    def test_an_old_session_is_shared_with_its_image_and_hours(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            created = datetime.now(UTC)
            session.become(created=created, ends=created + timedelta(hours=3, seconds=-2))
            share = only_card(page).share
            tell(share, "make", {"address": "http://localhost:8866/"})
            assert share.shared["link"] == "http://localhost:8866/?opt-image=base&opt-hours=3"

        with_session(scene)


class TestDeleting:
    def test_the_card_goes_when_the_session_is_deleted(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            session.become(state=State.ENDED, reason="stopped")
            tell(only_card(page), "delete", {"files": True})
            await until(lambda: not page.shell.sessions, "the card to go")
            assert session.asked == ["delete --files"]
            assert page.start_card.resumable == []

        with_session(scene)

    def test_it_stays_when_it_cannot_be_deleted(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            card = only_card(page)
            session.fail_next = SessionError("still-running", name="x")
            tell(card, "delete", {"files": False})
            await until(lambda: card.problem, "the sentence")
            assert page.shell.sessions == [card]

        with_session(scene)


class TestResults:
    def test_only_files_that_were_listed_are_shown_or_sent(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            session.become(state=State.ENDED, reason="stopped")
            results = only_card(page).results
            calls = record(results)
            await until(lambda: results.listing is not None, "the list")
            tell(results, "look", {"key": "a.txt"})
            await until(lambda: results.shown, "the look into a file")
            assert results.shown["blocks"] == [{"kind": "output", "text": "content of a.txt"}]
            tell(results, "look_away")
            tell(results, "fetch", {"key": "a.txt"})
            await until(lambda: calls, "the address")
            assert calls == [("open", ["https://storage.example.org/a.txt"])]
            for hostile in ("../a.txt", "b.txt", 3, None):
                tell(results, "look", {"key": hostile})
                tell(results, "fetch", {"key": hostile})
                tell(results, "download", {"keys": [hostile]})
            await asyncio.sleep(0)
            assert results.shown is None
            assert results.problem is None
            assert len(calls) == 1

        with_session(scene)


class TestAdding:
    def test_files_are_added_to_a_running_session_once_they_are_here(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            card = only_card(page)
            session.become(state=State.READY)
            tell(card, "add", {"replace": False})
            tell(card.files, "begin", {"id": 7, "name": "more.csv", "size": 3})
            assert not card.can_add
            tell(card, "add", {"replace": False})
            tell(card.files, "part", {"id": 7, "offset": 0}, b"abc")
            tell(card.files, "finish", {"id": 7})
            assert card.can_add
            tell(card, "add", {"replace": False})
            await until(lambda: card.busy, "the sending to begin")
            tell(card.files, "begin", {"id": 8, "name": "later.csv", "size": 3})
            await until(lambda: not card.busy, "the files to be sent")
            assert session.asked == ["add ['more.csv'] False"]
            assert [row["name"] for row in card.files.rows] == ["later.csv"]

        with_session(scene)

    def test_what_could_not_be_sent_is_still_in_the_list(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            card = only_card(page)
            session.become(state=State.READY)
            tell(card.files, "begin", {"id": 7, "name": "empty", "size": 0})
            tell(card.files, "finish", {"id": 7})
            session.fail_next = SessionError("too-late", name="x")
            tell(card, "add", {"replace": True})
            await until(lambda: card.problem, "the sentence")
            assert len(card.files.rows) == 1

        with_session(scene)


class TestLanguage:
    @pytest.fixture(autouse=True)
    def english_again(self) -> Iterator[None]:
        yield
        language.speak("en")

    def test_everything_is_said_again_in_the_other_language(self) -> None:
        async def scene(page: Page, session: FakeSession) -> None:
            card = only_card(page)
            session.fail_next = SessionError("too-late", name="x")
            tell(card, "save")
            await until(lambda: card.problem, "the sentence")
            tell(page.start_card, "form", {**FORM, "name": "Not A Name"})
            tell(page.shell, "speak", {"language": "fr"})
            assert page.shell.words["code"] == "fr"
            assert card.words["stop"] == card.share.words["share"].replace("Partager", "Arrêter")
            assert card.view["phase"].startswith("En attente")
            assert card.problem["what"] == "« x » ne tourne plus."
            assert "Employez" in page.start_card.blockers[0]["text"]
            for hostile in ("xx", "", "__name__", 3):
                tell(page.shell, "speak", {"language": hostile})
            assert page.shell.words["code"] == "fr"

        with_session(scene)
