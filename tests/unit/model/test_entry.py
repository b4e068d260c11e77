"""How a session will be opened: told before it is started."""

from __future__ import annotations

import pytest

from run_qarnot.model.connections import Mount
from run_qarnot.model.entry import Entry, SshOut, Surroundings, expected_entry

LAB = 8888


@pytest.mark.parametrize(
    ("is_elsewhere", "ssh_out", "mount", "expected"),
    [
        (False, SshOut.OPEN, Mount.PREFIX, Entry.HERE),
        (False, SshOut.UNKNOWN, Mount.PREFIX, Entry.HERE),
        (False, SshOut.OPEN, Mount.NONE, Entry.HERE),  # the tunnel has an address of its own
        (False, SshOut.BLOCKED, Mount.PREFIX, Entry.OTHER_NETWORK),
        (True, SshOut.OPEN, Mount.PREFIX, Entry.HERE),
        (True, SshOut.OPEN, Mount.STRIP, Entry.HERE),
        (True, SshOut.OPEN, Mount.NONE, Entry.OWN_COMPUTER),
        (True, SshOut.UNKNOWN, Mount.PREFIX, Entry.UNSURE),
        (True, SshOut.BLOCKED, Mount.PREFIX, Entry.OWN_COMPUTER),
    ],
)
def test_it_depends_on_where_the_browser_is_and_on_ssh(
    is_elsewhere: bool, ssh_out: SshOut, mount: Mount, expected: Entry
) -> None:
    assert expected_entry("base", LAB, mount, Surroundings(is_elsewhere, ssh_out)) is expected


def test_a_gateway_of_its_own_needs_no_ssh() -> None:
    around = Surroundings(True, SshOut.BLOCKED, frozenset({"desk"}))
    assert expected_entry("desk", LAB, Mount.NONE, around) is Entry.HERE
    assert expected_entry("base", LAB, Mount.NONE, around) is Entry.OWN_COMPUTER


def test_what_has_no_page_is_not_opened() -> None:
    assert expected_entry("batch", None, Mount.NONE, Surroundings(True, SshOut.BLOCKED)) is Entry.NO_PAGE


def test_only_what_cannot_be_opened_here_wants_consent() -> None:
    assert {entry for entry in Entry if entry.needs_consent} == {Entry.OWN_COMPUTER, Entry.OTHER_NETWORK}
