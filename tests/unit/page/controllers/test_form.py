"""The form before anything is started: image, options, key, files. Nobody is asked, so there is no cluster."""

from __future__ import annotations

from typing import Any

import pytest
from support.pages import FORM, begin, play, reasons, record, synced, tell
from support.waiting import until

from run_qarnot.catalog.image import Image
from run_qarnot.page.build import Page

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"


def test_an_image_is_chosen_from_the_start() -> None:
    async def scene(page: Page) -> None:
        assert page.environment_card.chosen == "base"
        assert page.start_card.image_title == "A command"
        assert [row["title"] for row in page.environment_card.broken] == ["broken"]
        tell(page.environment_card, "choose", {"id": "torch"})
        assert [row["name"] for row in page.environment_card.options] == ["workers", "secret"]
        assert page.start_card.draft["only"] == ["hours", "idle", "machines"]
        for other in ("broken", "nothing", ""):
            tell(page.environment_card, "choose", {"id": other})
        assert page.environment_card.chosen == "torch"

    play(scene)


def test_where_nothing_tells_whether_it_is_used_the_form_says_that_it_does_not_stop_for_that() -> None:
    async def scene(page: Page) -> None:
        images = page.sessions._catalog.images
        images["lab"] = Image(id="lab", repo="me/lab", idle_minutes=30)
        images["machine"] = Image(id="machine", app="ssh", repo="me/machine")
        images["bundled"] = Image(id="bundled", app="ssh", repo="me/machine", start="bundled")
        found = {}
        for image in ("base", "lab", "machine", "bundled"):  # the first one is a command, which ends by itself
            tell(page.environment_card, "choose", {"id": image})
            found[image] = (page.start_card.usual_idle, page.start_card.never_idle)
        assert found == {"base": (None, False), "lab": (30, False), "machine": (None, True), "bundled": (60, False)}

    play(scene)


def test_a_private_key_is_erased_refused_and_kept_nowhere() -> None:
    async def scene(page: Page) -> None:
        calls = record(page.start_card)
        tell(page.start_card, "form", {**FORM, "key": PRIVATE})
        assert ("erase_key", []) in calls
        assert page.start_card.problem["field"] == "ssh-key"
        assert "AAAA" not in synced(page) + repr(vars(page.form.current))

    play(scene)


def test_a_secret_option_is_in_no_trait() -> None:
    async def scene(page: Page) -> None:
        tell(page.environment_card, "choose", {"id": "torch"})
        tell(page.environment_card, "option", {"name": "secret", "value": "hunter2-hunter2"})
        assert page.form.current.options["secret"] == "hunter2-hunter2"
        assert "hunter2" not in synced(page)

    play(scene)


@pytest.mark.parametrize("value", [None, {"a": 1}, [1], [["x"]], float("nan"), "x" * 10_001])
def test_hostile_options_are_dropped(value: object) -> None:
    async def scene(page: Page) -> None:
        tell(page.environment_card, "choose", {"id": "torch"})
        tell(page.environment_card, "option", {"name": "workers", "value": value})
        tell(page.environment_card, "option", {"name": "nothing", "value": "1"})
        assert page.form.current.options == {}

    play(scene)


def test_files_come_and_go() -> None:
    async def scene(page: Page) -> None:
        calls = record(page.start_card.files)
        begin(page.start_card.files, 1, "data.csv", 6)
        assert reasons(page) == ["token", "upload"]
        tell(page.start_card.files, "part", {"id": 1, "offset": 0}, b"abc")
        tell(page.start_card.files, "part", {"id": 1, "offset": 0}, b"abc")
        tell(page.start_card.files, "part", {"id": 1, "offset": 3}, b"def")
        assert [call for call in calls if call[0] == "have"] == [("have", [1, 3]), ("have", [1, 3]), ("have", [1, 6])]
        await until(lambda: reasons(page) == ["token"], "the file to be shown as here")
        tell(page.start_card.files, "remove", {"id": 1})
        assert page.start_card.files.rows == []

    play(scene)


def test_of_many_files_the_browser_is_told_what_has_changed_and_everything_when_it_asks() -> None:
    async def scene(page: Page) -> None:
        files = page.start_card.files
        tell(files, "show_all")
        begin(files, 1, "a", 3)
        begin(files, 2, "b", 3)
        calls = record(files)

        def told() -> list[Any]:
            return [arguments for name, arguments in calls if name == "rows"]

        await until(lambda: told(), "the list")
        calls.clear()
        tell(files, "part", {"id": 2, "offset": 0}, b"abc")
        await until(told, "what has changed")
        ((changed, gone, total),) = told()
        assert ([(row["id"], row["arrival"]) for row in changed], gone, total) == ([(2, "here")], [], 2)
        calls.clear()
        tell(files, "remove", {"id": 1})
        await until(told, "what is gone")
        assert told() == [[[], [1], 1]]
        calls.clear()
        tell(files, "show_all")
        await until(told, "everything")
        ((rows, gone, total),) = told()
        assert ([row["id"] for row in rows], gone, total) == ([2], None, 1)

    play(scene)


@pytest.mark.parametrize("number", [-1, 1.5, "1", None, True, 2**60])
def test_hostile_uploads_are_dropped(number: object) -> None:
    async def scene(page: Page) -> None:
        begin(page.start_card.files, number, "x", 3)
        for name in ("part", "query", "retry", "remove"):
            tell(page.start_card.files, name, {"id": number, "offset": 0}, *([b"abc"] * (name == "part")))
        assert page.start_card.files.rows == []
        assert page.start_card.files.problem is None

    play(scene)


def test_a_refused_file_is_said_and_the_browser_stops_sending() -> None:
    async def scene(page: Page) -> None:
        calls = record(page.start_card.files)
        begin(page.start_card.files, 1, "../x", 3)
        assert ("refused", [1]) in calls
        assert page.start_card.files.problem["field"] == "upload"

    play(scene)
