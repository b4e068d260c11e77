"""A launch link and its badge."""

from __future__ import annotations

from support.pages import tell

from run_qarnot.core.errors import InputError
from run_qarnot.core.messages import Verbatim
from run_qarnot.page.actions import Shared
from run_qarnot.page.background import Background
from run_qarnot.page.components.share import Share


def test_a_link_is_made_from_the_address_that_the_browser_sees_and_put_away(tasks: Background) -> None:
    share = Share(tasks, lambda address: Shared(f"{address}?opt-image=a", "badge"))
    tell(share, "make", {"address": "https://example.org/"})
    assert share.shared == {"link": "https://example.org/?opt-image=a", "badge": "badge"}
    tell(share, "put_away")
    assert share.shared is None
    tell(share, "make", {"address": "x" * 9000})
    assert (share.shared, share.problem) == (None, None), "no honest page sends such an address"


def test_a_link_that_cannot_be_made_is_a_problem_and_replaces_the_one_before(tasks: Background) -> None:
    def make(address: str) -> Shared:
        if "bad" in address:
            raise InputError("image-unknown", image="a", hint=Verbatim(""))
        return Shared(address, "badge")

    share = Share(tasks, make, session="calm-heron-42")
    tell(share, "make", {"address": "good"})
    tell(share, "make", {"address": "bad"})
    assert share.shared is None
    assert share.problem is not None
    tell(share, "make", {"address": "good"})
    assert share.problem is None
